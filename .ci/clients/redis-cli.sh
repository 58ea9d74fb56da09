#!/usr/bin/env bash
# redis-cli.sh RPC PORT ORIGIN_PID: events published by redis-cli, and what the
# node answers then. It stops the origin's process for moments.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
rpc=$1 port=$2 origin=$3

bus() { redis-cli -h 127.0.0.1 -p "$port" "$@"; }

# check OPERATION: how fresh, and what it costs.
check() {
  local answer
  answer=$(ask --header 'X-Tenant-Id: 123' "$rpc/api/credits/check/$1")
  echo "$(header Tenantry-Freshness "$answer") $(body "$answer")"
}

# costs OPERATION COST: the body of such an answer.
costs() { echo "{\"operation\":\"$1\",\"creditCost\":$2,\"canAfford\":true}"; }

# Publishing reaches the node once it holds the tenant, which a read makes it do.
subscribed() {
  check crm.leads.create >/dev/null
  for channel in crm:123:credit-configs crm:123:credit-config-changed; do
    eventually "the node subscribes to $channel" "$channel 1" numsub "$channel"
  done
}
numsub() { bus pubsub numsub "$1" | paste -sd ' '; }

# unversioned CHANNEL MESSAGE OPERATION COST CONFIRMED: an event without a version
# counts at once, and until the origin has been asked. The origin is stopped
# meanwhile, so that its word cannot come before the event is seen.
unversioned() {
  kill -STOP "$origin"
  equal "an event on $1 has a receiver" 1 "$(bus publish "$1" "$2")"
  eventually "it makes $3 cost $4, provisionally" "provisional $(costs "$3" "$4")" check "$3"
  kill -CONT "$origin"
  eventually "then the origin's word counts" "fresh $(costs "$3" "$5")" check "$3"
}

seeds_message='{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123",
 "data":{"operationCode":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}}'

# versioned VERSION COST
versioned() {
  bus publish crm:123:credit-configs '{"eventId":"change-'"$1"'","eventType":"credit-config-changed","tenantId":"123","version":'"$1"',
    "data":{"operationCode":"crm.leads.create","newValue":'"$2"'}}' >/dev/null
}

# An event with a version is known to be the latest: no origin confirms it. That
# another event, published after it, has been confirmed shows that the time
# for that is over.
versions() {
  local before
  before=$(check crm.leads.update)
  before=${before#*\"creditCost\":} before=${before%%,*}
  versioned 8 4.25
  eventually "an event with a version is fresh at once" "fresh $(costs crm.leads.create 4.25)" check crm.leads.create
  versioned 7 9.75
  unversioned crm:123:credit-configs "${seeds_message//crm.leads.create/crm.leads.update}" crm.leads.update 3.0 "$before"
  equal "the one with a version stays, and no older one replaces it" "fresh $(costs crm.leads.create 4.25)" "$(check crm.leads.create)"
}

subscribed
unversioned crm:123:credit-config-changed "$seeds_message" crm.leads.create 3.0 2.5
unversioned crm:123:credit-configs "$seeds_message" crm.leads.create 3.0 2.5
versions
