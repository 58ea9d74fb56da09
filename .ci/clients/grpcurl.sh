#!/usr/bin/env bash
# grpcurl.sh ADDRESS: gRPC by a client that knows nothing of the protocol but
# what the node tells by reflection.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
address=$1

# grpcurl [OPTION]... [METHOD]: what it prints, errors included, on one line.
grpcurl() { (go tool -modfile=.grpcurl.mod grpcurl -plaintext -max-time 10 "$@" 2>&1 || true) | tr -s '[:space:]' ' '; }

# call METHOD JSON
call() { grpcurl -d "$2" "$address" "$1"; }

reflection() {
  local services
  services=$(grpcurl "$address" list)
  for service in tenantry.v1.{Cache,Entitlement,Cluster}Service grpc.health.v1.Health; do
    contains "list has $service" "$service " "$services"
  done
  contains "describe a service" 'rpc BatchGet ( .tenantry.v1.BatchGetRequest ) returns ( .tenantry.v1.BatchGetResponse )' \
    "$(grpcurl "$address" describe tenantry.v1.CacheService)"
  contains "describe a message" 'string tenant = 1' "$(grpcurl "$address" describe tenantry.v1.GetRequest)"
}

answers() {
  local answer
  answer=$(call tenantry.v1.CacheService/Get '{"tenant":"123","kind":"credit-config","key":"crm.leads.create"}')
  contains "Get" '"value": "eyJjb3N0IjoyLjV9"' "$answer"
  contains "Get: freshness" '"state": "FRESH"' "$answer"
  contains "Get: version" '"version": "1"' "$answer"
  contains "CheckCredits" '"operation": "crm.leads.create", "creditCost": "2.5", "canAfford": true, "availableCredits": "100"' \
    "$(call tenantry.v1.EntitlementService/CheckCredits '{"tenant":"123","operation":"crm.leads.create","userId":"user-1"}')"
}

health() {
  contains "health check" '"status": "SERVING"' "$(call grpc.health.v1.Health/Check '{}')"
  contains "health check of one service" '"status": "SERVING"' "$(call grpc.health.v1.Health/Check '{"service":"tenantry.v1.CacheService"}')"
  contains "health check of one that is not there" 'Code: NotFound' "$(call grpc.health.v1.Health/Check '{"service":"no.such.Service"}')"
}

errors() {
  local answer
  contains "a wrong field is InvalidArgument" 'Code: InvalidArgument Message: key: ' \
    "$(call tenantry.v1.CacheService/Get '{"tenant":"123","kind":"role"}')"
  contains "an unknown kind is FailedPrecondition" 'Code: FailedPrecondition Message: kind: ' \
    "$(call tenantry.v1.CacheService/Get '{"tenant":"123","kind":"no-such-kind","key":"x"}')"
  answer=$(call tenantry.v1.CacheService/Get '{"tenant":"123","kind":"role","key":"nobody"}')
  contains "an absent item is NotFound" 'Code: NotFound' "$answer"
  contains "an absent item: freshness in the details" '"@type": "type.googleapis.com/tenantry.v1.Freshness"' "$answer"
}

reflection
answers
health
errors
