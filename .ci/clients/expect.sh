# What the clients in bash share: checks, and reading answers. Each check prints
# one line and never ends the script: what follows is to be seen, too.
#
# shellcheck shell=bash
client=$(basename "$0" .sh)

# equal WHAT WANT GOT
equal() { verdict "$@" "$([[ $3 == "$2" ]] && echo ok)"; }

# contains WHAT PART GOT
contains() { verdict "$@" "$([[ $3 == *"$2"* ]] && echo ok)"; }

# matches WHAT REGEXP GOT
matches() { verdict "$@" "$([[ $3 =~ $2 ]] && echo ok)"; }

verdict() {
  if [[ $4 == ok ]]; then
    echo "ok      $client: $1"
  else
    echo "FAILED  $client: $1: want ${2//$'\n'/ }, got ${3//$'\n'/ }"
  fi
}

# eventually WHAT WANT COMMAND...: equal, once the command prints what is wanted
# or the time is up.
eventually() {
  local end=$((SECONDS + 10)) got
  until got=$("${@:3}") && [[ $got == "$2" ]] || ((SECONDS >= end)); do sleep 0.02; done
  equal "$1" "$2" "$got"
}

# ask [OPTION]... URL: the answer with its header lines. What the user has set
# for curl elsewhere, or a proxy, does not count. Without an answer: why not.
ask() { (curl -q --noproxy '*' --silent --show-error --max-time 10 --include "$@" 2>&1 || true) | tr -d '\r'; }

# status ANSWER, header NAME ANSWER, body ANSWER
status() { sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' <<<"$1"; }
header() { sed -n "1,/^\$/s/^$1: //Ip" <<<"$2"; }
body() { sed '1,/^$/d' <<<"$1"; }
