#!/bin/bash
# A grid as a job array of a real SLURM of one machine, preempted and queued again: nothing is lost, and all records are
# those of one process. `bash tests/faults/slurm.sh`, as root, with Debian's slurm-wlm and munge; says when it skips.
set -eu
skip() { echo "skipped: $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "slurmd wants root"
for program in munged slurmctld slurmd sbatch; do
  command -v $program > /dev/null || PATH=$PATH:/usr/sbin; command -v $program > /dev/null || skip "no $program: apt-get install slurm-wlm munge"
done
for daemon in slurmctld slurmd; do pgrep -x $daemon > /dev/null && skip "a SLURM is running here already"; done

repository=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d); chmod 755 "$place"
finish() { for daemon in slurmd slurmctld; do kill "$(cat "$place/$daemon.pid")" || true; done; [ -z "${munge:-}" ] || kill "$munge" || true; rm -rf "$place"; }
trap finish EXIT

# SLURM for one machine: a partition whose jobs are preempted, and one whose jobs preempt.
if ! pgrep -x munged > /dev/null; then
  [ -f /etc/munge/munge.key ] || mungekey
  mkdir -p /run/munge; chown munge: /run/munge /etc/munge/munge.key 2> /dev/null || true
  runuser -u munge -- munged --foreground > "$place/munged.log" 2>&1 & munge=$!
  sleep 1
fi
host=$(hostname -s)
cat > "$place/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
SchedulerParameters=sched_interval=2,bf_interval=2
KillWait=30
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=low Nodes=$host Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=20 State=UP
PartitionName=high Nodes=$host PriorityTier=2 PreemptMode=OFF State=UP
CONF
mkdir -p "$place/state" "$place/spool"
export SLURM_CONF=$place/slurm.conf
slurmctld -f "$SLURM_CONF"; slurmd -f "$SLURM_CONF" -N "$host"
for _ in $(seq 30); do sinfo -h -o %t | grep -q idle && break; sleep 1; done
sinfo -h -o %t | grep -q idle || { cat "$place"/slurm*.log; echo "SLURM did not start"; exit 1; }
echo "$(sinfo --version), one machine, 2 cores"

# The grid: by one process, then as an array of two tasks that share it.
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
python=$(command -v python)
cd "$repository"
"$python" - "$place" <<'PYTHON'
import sys
from pathlib import Path
import yaml
from tests.conftest import save_tiny_lm
from tests.runs.small_grid import small_grid
place = Path(sys.argv[1])
options = small_grid(place, save_tiny_lm("llama", place / "lm")) | {"seeds": list(range(1, 13))}
options["head"] = options["head"].split(",")
for name in ("alone", "shared"):
    own = {"out": str(place / name), "cache": str(place / f"{name}-cache")}
    (place / f"{name}.yaml").write_text(yaml.safe_dump({**options, **own, "set": {"epochs": 200}}))
PYTHON
"$python" -m taxbench --quiet run "$place/alone.yaml" > /dev/null

cat > "$place/job.sh" <<JOB
#!/bin/bash
#SBATCH --array=0-1 --ntasks=1 --cpus-per-task=1 --requeue --partition=low --output=$place/log-%a --open-mode=append
# What a user writes: the command, in the foreground, so that it hears SIGTERM.
cd $repository; echo "starts (restart \${SLURM_RESTART_COUNT:-0})"
exec $python -m taxbench run $place/shared.yaml
JOB
array=$(sbatch --parsable "$place/job.sh")
for _ in $(seq 300); do [ "$(find "$place/shared" -name result.json 2> /dev/null | wc -l)" -ge 2 ] && break; sleep 1; done
for round in 1 2; do  # somebody of more importance comes along
  sbatch --parsable --partition=high --ntasks=1 --cpus-per-task=2 --output=/dev/null --wrap "sleep 5" > /dev/null
  sleep 45
done
for _ in $(seq 900); do squeue -h | grep -q . || break; sleep 1; done
squeue -h | grep -q . && { echo "the queue is not empty"; squeue; cat "$place"/log-*; exit 1; }

"$python" - "$place" <<'PYTHON'
import sys
from pathlib import Path
from tests.faults.grids import contents
place = Path(sys.argv[1])
alone, shared = contents(place / "alone"), contents(place / "shared")
logs = "".join(path.read_text() for path in sorted(place.glob("log-*")))
restarts, runs = logs.count("starts (restart") - 2, sum(name.endswith("result.json") for name in shared)
print(f"{runs} records by two tasks, queued again {restarts} times")
assert "Internal error" not in logs, logs
assert restarts > 0, logs
assert shared == alone, (len(shared), len(alone), [name for name in alone if shared.get(name) != alone[name]])
print("all records are those of one process")
PYTHON
