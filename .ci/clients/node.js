// node.js URL: every protocol that connect-node speaks, over HTTP/1.1 and
// HTTP/2, with the code that protoc-gen-es generates.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "./gen/grpc/health/v1/health_pb.js";
import { CacheService } from "./gen/tenantry/v1/cache_pb.js";
import { ClusterService, TenantState } from "./gen/tenantry/v1/cluster_pb.js";
import { EntitlementService } from "./gen/tenantry/v1/entitlement_pb.js";
import { Freshness_Source as Source, Freshness_State as State, FreshnessSchema } from "./gen/tenantry/v1/freshness_pb.js";

const baseUrl = process.argv[2];
const tenant = "123";
const cost = { tenant, kind: "credit-config", key: "crm.leads.create" };

const sessionManager = new Http2SessionManager(baseUrl);
after(() => sessionManager.abort()); // or its connection keeps the process
const h1 = { baseUrl, httpVersion: "1.1", defaultTimeoutMs: 10_000 };
const h2 = { baseUrl, httpVersion: "2", defaultTimeoutMs: 10_000, sessionManager };

// Each way with the Content-Type of its answers; a GET shows in their Vary.
const ways = {
  "Connect, JSON, HTTP/1.1": { transport: createConnectTransport({ ...h1, useBinaryFormat: false }), type: "application/json" },
  "Connect, JSON, HTTP/2": { transport: createConnectTransport({ ...h2, useBinaryFormat: false }), type: "application/json" },
  "Connect, HTTP/1.1": { transport: createConnectTransport(h1), type: "application/proto" },
  "Connect, HTTP/2": { transport: createConnectTransport(h2), type: "application/proto" },
  "Connect by GET, JSON, HTTP/1.1": { transport: createConnectTransport({ ...h1, useHttpGet: true, useBinaryFormat: false }), type: "application/json", get: true },
  "Connect by GET, HTTP/2": { transport: createConnectTransport({ ...h2, useHttpGet: true }), type: "application/proto", get: true },
  "gRPC, HTTP/2": { transport: createGrpcTransport(h2), type: "application/grpc+proto" },
  "gRPC-Web, HTTP/1.1": { transport: createGrpcWebTransport(h1), type: "application/grpc-web+proto" },
  "gRPC-Web, HTTP/2": { transport: createGrpcWebTransport(h2), type: "application/grpc-web+proto" },
};

const checks = {
  "the protocol": async ({ cache, way }) => {
    let header;
    await cache.get(cost, { onHeader: (h) => (header = h) });
    assert.equal(header.get("Content-Type"), way.type);
    assert.equal(/accept-encoding/i.test(header.get("Vary")), way.get === true);
  },

  "Get": async ({ cache }) => {
    const { value, freshness } = await cache.get(cost);
    assert.equal(text(value), '{"cost":2.5}');
    assertFreshness(freshness);
    assert.equal(freshness.state, State.FRESH);
    assert.equal(freshness.version, 1n);
  },

  "Get with bounds": async ({ cache }) => {
    const first = await cache.get({ ...cost, maxAge: { seconds: 0n } });
    assert.equal(first.freshness.source, Source.ORIGIN);
    const second = await cache.get({ ...cost, after: first.freshness.token, minVersion: 1n });
    assert.deepEqual(second.value, first.value);
    await rejects(cache.get({ ...cost, key: "crm.leads.update", after: first.freshness.token }), Code.InvalidArgument, /^after: /);
  },

  "BatchGet": async ({ cache }) => {
    const items = [cost, { kind: "role", key: "admin" }, { kind: "role", key: "nobody" }, { kind: "no-such-kind", key: "x" }];
    const { results, node } = await cache.batchGet({ tenant, items });
    assert.equal(node, "clients-1");
    assert.deepEqual(results.map((r) => text(r.value)), ['{"cost":2.5}', '{"permissions":["crm.*"]}', "", ""]);
    assert.deepEqual(results.map((r) => r.error?.code), [undefined, undefined, "not_found", "failed_precondition"]);
    assert.deepEqual(results.map((r) => r.freshness?.state), [State.FRESH, State.FRESH, State.FRESH, undefined]);
  },

  "CheckCredits": async ({ entitlements }) => {
    const { creditCost, canAfford, availableCredits, freshness } = await entitlements.checkCredits({ tenant, operation: "crm.leads.create", userId: "user-1" });
    assert.deepEqual({ creditCost, canAfford, availableCredits }, { creditCost: "2.5", canAfford: true, availableCredits: "100" });
    assertFreshness(freshness);
    assert.equal(freshness.version, undefined);
  },

  "Authorize": async ({ entitlements }) => {
    const yes = await entitlements.authorize({ tenant, operation: "crm.leads.create", userId: "user-1" });
    assert.deepEqual([yes.allowed, yes.reasons, yes.creditCost], [true, [], "2.5"]);
    assertFreshness(yes.freshness);
    const no = await entitlements.authorize({ tenant, operation: "crm.leads.create", userId: "user-3" });
    assert.equal(no.allowed, false);
    assert.deepEqual(no.reasons.map((r) => r.split(":")[0]), ["operation_not_permitted", "credits_insufficient"]);
  },

  "GetRolePermissions": async ({ entitlements }) => {
    const { roleId, permissions, freshness } = await entitlements.getRolePermissions({ tenant, roleId: "sales-manager" });
    assert.equal(roleId, "sales-manager");
    assert.deepEqual(permissions, ["crm.leads.*", "crm.contacts.*", "crm.deals.*", "crm.reports.run"]);
    assertFreshness(freshness);
  },

  "GetTenant": async ({ cache, cluster }) => {
    await cache.get(cost); // the tenant becomes active
    const t = await until(() => cluster.getTenant({ tenant }), (t) => t.state === TenantState.LIVE);
    assert.deepEqual([t.tenant, t.node, t.state], [tenant, "clients-1", TenantState.LIVE]);
    assert.ok(t.channels.includes("crm:123:credit-configs"), `channels: ${t.channels}`);
    const kind = t.kinds.find((k) => k.kind === "credit-config");
    assert.deepEqual([kind.class, kind.complete, kind.entries >= 10n], ["critical", true, true]);
    assert.ok(t.requests > 0n && t.cacheStats.criticalHits > 0n);
  },

  "an unknown kind": async ({ cache }) => {
    await rejects(cache.get({ ...cost, kind: "no-such-kind" }), Code.FailedPrecondition, /^kind: .*credit-config/);
  },

  "an absent item": async ({ cache }) => {
    const error = await rejects(cache.get({ tenant, kind: "role", key: "nobody" }), Code.NotFound, /nobody/);
    const details = error.findDetails(FreshnessSchema);
    assert.equal(details.length, 1);
    assertFreshness(details[0]);
  },

  "a wrong field": async ({ cache, entitlements }) => {
    await rejects(cache.get({ ...cost, tenant: "a b" }), Code.InvalidArgument, /^tenant: /);
    await rejects(entitlements.authorize({ tenant, userId: "user-1" }), Code.InvalidArgument, /^operation: /);
  },

  "a stream": async ({ health, signal }) => {
    // It ends with the test. Leaving the loop ends neither a request over
    // HTTP/1.1 nor a deadline's timer, and both keep the process.
    for await (const { status } of health.watch({ service: "tenantry.v1.CacheService" }, { signal, timeoutMs: 0 })) {
      return assert.equal(status, Serving.SERVING);
    }
    assert.fail("it ended without a message");
  },
};

for (const [name, way] of Object.entries(ways)) {
  const context = {
    way,
    cache: createClient(CacheService, way.transport),
    entitlements: createClient(EntitlementService, way.transport),
    cluster: createClient(ClusterService, way.transport),
    health: createClient(Health, way.transport),
  };
  for (const [what, check] of Object.entries(checks)) test(`${name}: ${what}`, { timeout: 15_000 }, ({ signal }) => check({ ...context, signal }));
}

function text(bytes) {
  return new TextDecoder().decode(bytes);
}

// Every field of a freshness is there and plausible; age and as_of tell the same.
function assertFreshness(f) {
  assert.notEqual(f.state, State.STATE_UNSPECIFIED);
  assert.notEqual(f.source, Source.SOURCE_UNSPECIFIED);
  assert.equal(f.node, "clients-1");
  assert.ok(durationMs(f.age) >= 0);
  assert.ok(Math.abs(timestampMs(f.asOf) + durationMs(f.age) - Date.now()) < 10_000, "as_of + age is not now");
}

// Returns the error for more to be asked of it.
async function rejects(promise, code, message) {
  const error = await promise.then(() => assert.fail("no error"), (e) => e);
  assert.ok(error instanceof ConnectError, String(error));
  assert.equal(Code[error.code], Code[code]);
  assert.match(error.rawMessage, message);
  return error;
}

// Returns the first answer that is wanted, or the last one when the time is up.
async function until(ask, wanted) {
  const end = Date.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer) || Date.now() > end) return answer;
    await pause(20);
  }
}
