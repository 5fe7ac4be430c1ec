#!/usr/bin/env bash
# A real hand-off between three agents, each an ordinary shell command, working on a document of
# this repository. One of them is killed in the middle; the outcome is whole all the same.
#
#   split    cuts a document into its sections and hands each to `examine`
#   examine  looks at one section; its answer goes to `collect` by itself (--reply-to)
#   collect  writes the answers down
#
# Usage: apps/demo/run.sh [JACK]   (the program; build/jack if not given)
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
jack=$(realpath "${1:-$here/build/jack}")
document=$here/README.md

work=$(mktemp -d "${TMPDIR:-/tmp}/jack-demo.XXXXXX")
export JACK_DATA_DIR=$work/data
PATH=$(dirname "$jack"):$PATH
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s── %s%s\n' "$bold" "$*" "$plain"; }
# Shows a command, then runs it.
run() {
  printf '%s$ %s%s\n' "$bold" "$*" "$plain"
  "$@"
}

# --- The agents: read a task from standard input, print the result ---

cat > "$work/split" <<'AGENT'
#!/usr/bin/env bash
# Each section begins with "## ". It is submitted as a task of its own; JACK_TASK_ID makes this
# task its parent. The result is the number of sections.
set -euo pipefail
cd "$(mktemp -d "$DEMO_FOLDER/split.XXXXXX")"
csplit --quiet --elide-empty-files --prefix=section- - '/^## /' '{*}'
for section in section-*; do
  jack submit examine --file "$section" --type section --reply-to collect --attempts 5 > /dev/null
done
ls section-* | wc -l
AGENT

cat > "$work/examine" <<'AGENT'
#!/usr/bin/env bash
# Thinking takes a moment. Every attempt leaves a line in the log, so that the demo can tell.
set -euo pipefail
echo "$JACK_TASK_ID attempt $JACK_ATTEMPT" >> "$DEMO_LOG"
text=$(cat)
sleep "${DEMO_THINKING:-0.4}"
title=$(head -n 1 <<< "$text" | sed 's/^#* *//')
printf '%-44s %4d words, %3d lines\n' "$title" "$(wc -w <<< "$text")" "$(wc -l <<< "$text")"
AGENT

cat > "$work/collect" <<'AGENT'
#!/usr/bin/env bash
cat >> "$DEMO_REPORT"
AGENT

chmod +x "$work"/{split,examine,collect}
export DEMO_FOLDER=$work DEMO_LOG=$work/log DEMO_REPORT=$work/report
: > "$DEMO_LOG"

# --- The story ---

say "An engine. It is the whole system: one process, one directory."
printf '%s$ jack serve &%s\n' "$bold" "$plain"
mkfifo "$work/ready"
jack serve > "$work/ready" 2> "$work/engine.log" &
read -r line < "$work/ready"
echo "$line"

say "Two agents. Any command is one: standard input is the task, standard output the result."
echo "\$ jack work split   -- ./split &"
echo "\$ jack work examine -- ./examine &"
jack work split -- "$work/split" &
jack work examine -- "$work/examine" &
victim=$!

say "A document goes in; the answer of the first agent comes back."
sections=$(run jack submit split --file "$document" --wait | tee /dev/stderr | tail -n 1)
echo "$sections sections are on their way to the second agent."

say "The second agent is killed in the middle of a section, with kill -9."
lost=$(sed -n '3 { s/ .*//p; q }' < <(tail -n +1 -f --pid=$$ "$DEMO_LOG"))
{ kill -9 $victim && wait $victim; } 2> /dev/null || true
run jack show "$lost"

say "Another one takes its place, with four hands. Nobody has to tell it what was lost."
echo "\$ jack work examine -j 4 -- ./examine &"
jack work examine -j 4 -- "$work/examine" &

say "The third agent writes the answers down. It stops when it has one for every section."
run jack work collect --max "$sections" -- "$work/collect"

say "The report: every section, once."
sort "$DEMO_REPORT"
answers=$(wc -l < "$DEMO_REPORT")

say "What happened to the section whose agent was killed: two attempts, one outcome."
run jack show "$lost"

say "All queues, and the last tasks."
run jack queues
run jack ls --limit 8

if [ "$answers" -ne "$sections" ]; then
  say "$answers answers to $sections sections: this is a bug in JACK, please report it."
  exit 1
fi
say "$sections sections, $answers answers, one agent killed, nothing lost and nothing done twice."
