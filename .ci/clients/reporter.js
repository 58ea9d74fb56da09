// Reports a test in one line, as the other clients do.
export default async function* reporter(events) {
  for await (const { type, data } of events) {
    if (type === "test:pass") yield `ok      node: ${data.name}\n`;
    if (type === "test:fail") yield `FAILED  node: ${data.name}: ${reason(data.details.error)}\n`;
  }
}

function reason(error) {
  return (error.cause?.message ?? error.message).replace(/\s+/g, " ");
}
