set -u
cd /tmp/quickstart; rm -rf captured .taskscaler .taskscaler-fake record log s.sock
export PATH=/tmp/oldbin:$PATH HOME=/tmp/quickstart TZ=UTC
T="taskscaler"; S="--socket /tmp/quickstart/s.sock"
run() { $T run --config /tmp/quickstart/config.toml $S >>log 2>&1 & M=$!; for i in $(seq 100); do $T status $S >/dev/null 2>&1 && break; sleep 0.1; done; }
job() { k=$1; shift; $T exec $S --key $k "$@" >>jobs.log 2>&1 & }
: > jobs.log
run
date -u +%T.%N; echo first
job job-01 -- sh -c 'sleep 2'; job job-02 -- sh -c 'sleep 3'; job job-03 -- true
sleep 4
for i in 04 05 06 07 08 09 10 11; do job job-$i -- sh -c 'sleep 4'; done
job hasty --timeout 300ms -- true
sleep 7
echo "victim"; job victim -- sh -c 'sleep 60'
sleep 2
inst=$($T status $S --json | python3 -c "
import json,sys
f=json.load(sys.stdin)['runners'][0]['fleet']
print(json.dumps(f))")
echo "$inst" > status1.json
id=$($T explain $S --utc --json --key victim | python3 -c "import json,sys; print(json.load(sys.stdin)['key']['leases'][-1]['instance'])")
pid=$(grep -h '"booted"' record/$id.jsonl | python3 -c "import json,sys; print(json.loads(sys.stdin.readline())['pid'])")
echo "killing instance $id pid $pid"; kill -9 $pid
sleep 4
echo reload; sed -i 's/max_instances = 5/max_instances = 2/; s/idle_count = 2$/idle_count = 3/' config.toml; kill -HUP $M; sleep 1
for i in $(seq 20 34); do [ $i = 30 ] && job hasty2 --timeout 1s -- true; job job-$i -- sh -c 'sleep 1.5'; done
sleep 8
echo "reload back"; sed -i 's/max_instances = 2/max_instances = 4/' config.toml; kill -HUP $M; sleep 6
pad=$(printf 'x%.0s' $(seq 180))
for i in $(seq 100 390); do job batch-$i-$pad -- true; [ $((i % 12)) = 0 ] && sleep 1; done
sleep 14
echo "kill an idle instance"
id=$($T explain $S --utc --json | python3 -c "import json,sys; print(json.load(sys.stdin)['state']['idle'][0]['id'])"); pid=$(grep -h "booted" record/$id.jsonl | python3 -c "import json,sys; print(json.loads(sys.stdin.readline())['pid'])"); echo $id $pid; kill -9 $pid; sleep 4
echo "kill under a job"
job survivor -- sh -c 'sleep 12'; $T exec $S --key orphan -- sh -c 'sleep 100' >>jobs.log 2>&1 & O=$!
sleep 4; kill -9 $M; kill -9 $O; sleep 1
run
sleep 14
for i in 41 42 43; do job job-$i -- sh -c 'sleep 2'; done; sleep 4
for i in 44 45 46 47 48 49; do job job-$i -- sh -c 'sleep 60'; done
for i in $(seq 50 66); do job late-$i -- sh -c 'sleep 60'; done
sleep 4
kill -9 $M; sleep 0.3
cp -a .taskscaler captured
date -u +%T.%N; echo done
