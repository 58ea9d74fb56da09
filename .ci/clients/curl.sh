#!/usr/bin/env bash
# curl.sh RPC ORIGIN: REST and Connect by curl, over HTTP/1.1 and HTTP/2.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
rpc=$1 origin=$2

# rest PATH [OPTION]...: for tenant 123.
rest() { ask --header 'X-Tenant-Id: 123' "${@:2}" "$rpc$1"; }

# post METHOD JSON [OPTION]...: by Connect.
post() { ask --header 'Content-Type: application/json' --data "$2" "${@:3}" "$rpc/tenantry.v1.$1"; }

# query METHOD JSON [OPTION]...: by Connect with GET.
query() {
  ask --get --data-urlencode connect=v1 --data-urlencode encoding=json --data-urlencode "message=$2" \
    "${@:3}" "$rpc/tenantry.v1.$1"
}

rest_answers() {
  local answer
  answer=$(rest '/api/credits/check/crm.leads.create?userId=user-1')
  equal "GET /api/credits/check is 200" 200 "$(status "$answer")"
  equal "GET /api/credits/check: body" '{"operation":"crm.leads.create","creditCost":2.5,"canAfford":true,"availableCredits":100}' "$(body "$answer")"
  equal "GET /api/credits/check without a user" '{"operation":"crm.leads.create","creditCost":2.5,"canAfford":true}' \
    "$(body "$(rest /api/credits/check/crm.leads.create)")"
  equal "GET /api/roles" '{"roleId":"admin","permissions":["crm.*"]}' "$(body "$(rest /api/roles/admin/permissions)")"
  contains "GET /api/authorize says why not" credits_insufficient "$(rest '/api/authorize/crm.leads.create?userId=user-3')"
  contains "GET /api/history comes from the origin" '"path":"users/user-1","query":"page=2"' "$(rest '/api/history/users/user-1?page=2')"
  equal "GET /v1/tenants" '{"cost":2.5}' "$(body "$(ask "$rpc/v1/tenants/123/entries/credit-config/crm.leads.create")")"
}

rest_headers() {
  local answer etag again
  answer=$(rest /api/credits/check/crm.leads.create)
  etag=$(header ETag "$answer")
  equal "Tenantry-Freshness" fresh "$(header Tenantry-Freshness "$answer")"
  equal "Tenantry-Node" clients-1 "$(header Tenantry-Node "$answer")"
  equal "Content-Type" application/json "$(header Content-Type "$answer")"
  matches "Age is in seconds" '^[0-9]+$' "$(header Age "$answer")"
  matches "ETag is quoted" '^"[^"]+"$' "$etag"
  again=$(rest /api/credits/check/crm.leads.create --header "If-None-Match: $etag")
  equal "If-None-Match with it is 304, without a body" "304 " "$(status "$again") $(body "$again")"
  equal "304 tells the freshness" fresh "$(header Tenantry-Freshness "$again")"
  equal "If-None-Match with another is 200" 200 "$(status "$(rest /api/credits/check/crm.leads.create --header 'If-None-Match: "other"')")"
}

rest_errors() {
  local answer
  answer=$(rest /api/credits/check/crm.no.such)
  equal "an operation that is not configured is 404" '404 {"error":"Operation not configured","operation":"crm.no.such"}' \
    "$(status "$answer") $(body "$answer")"
  answer=$(ask "$rpc/api/credits/check/crm.leads.create")
  equal "no tenant is 400" '400 {"error":"X-Tenant-Id: missing"}' "$(status "$answer") $(body "$answer")"
  answer=$(ask "$rpc/v1/tenants/123/entries/no-such-kind/x")
  matches "an unknown kind is 400, with those there are" '^400 \{"error":"kind: .*credit-config' "$(status "$answer") $(body "$answer")"
  answer=$(rest /api/users/user-1 --request DELETE)
  equal "another method is 405" '405 GET, HEAD' "$(status "$answer") $(header Allow "$answer")"
}

connect() {
  local get='{"tenant":"123","kind":"credit-config","key":"crm.leads.create"}' answer
  matches "Connect by POST" '"value": ?"eyJjb3N0IjoyLjV9".*"state": ?"FRESH"' "$(post CacheService/Get "$get")"
  matches "Connect by GET" '"value": ?"eyJjb3N0IjoyLjV9".*"state": ?"FRESH"' "$(query CacheService/Get "$get")"
  matches "Connect by GET, of a composed answer" '"allowed": ?true' \
    "$(query EntitlementService/Authorize '{"tenant":"123","userId":"user-1","operation":"crm.leads.create"}')"
  answer=$(post CacheService/Get '{"tenant":"a b","kind":"role","key":"admin"}')
  matches "Connect names a wrong field" '^400 \{"code": ?"invalid_argument", ?"message": ?"tenant: ' "$(status "$answer") $(body "$answer")"
  answer=$(query CacheService/Get '{"tenant":"123","kind":"role","key":"nobody"}')
  matches "Connect says not_found, with a freshness" '^404 \{"code": ?"not_found".*"tenantry.v1.Freshness"' "$(status "$answer") $(body "$answer")"
}

http2() {
  local get='{"tenant":"123","kind":"role","key":"admin"}'
  equal "REST over HTTP/2" 'HTTP/2 200' "$(rest /api/roles/admin/permissions --http2-prior-knowledge | sed -n '1s/ *$//p')"
  matches "Connect by POST over HTTP/2" '^HTTP/2 200.*"state": ?"FRESH"' "$(post CacheService/Get "$get" --http2-prior-knowledge)"
  matches "Connect by GET over HTTP/2" '^HTTP/2 200.*"state": ?"FRESH"' "$(query CacheService/Get "$get" --http2-prior-knowledge)"
}

# The whole way of a change: origin, Redis, node.
change() {
  cost() { body "$(rest /api/credits/check/crm.deals.close)"; }
  equal "PUT at the origin" 200 "$(status "$(ask --request PUT --data '{"creditCost":7.10}' "$origin/api/tenants/123/credit-configs/crm.deals.close")")"
  eventually "PUT at the origin: its event changes the answer" '{"operation":"crm.deals.close","creditCost":7.10,"canAfford":true}' cost
}

rest_answers
rest_headers
rest_errors
connect
http2
change
