#!/bin/sh
# A sweep on a real Slurm: makes a cluster of this one machine, runs a small grid on it, and takes everything
# down again. Needs root and Debian's packages slurm-wlm and munge (apt-get install --no-install-recommends
# slurm-wlm munge). It refuses to run where a Slurm is configured already. Everything listens on this machine
# only.
set -eu
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
[ "$(id -u)" -eq 0 ] || { echo "Run this as root: it starts Slurm's daemons." >&2; exit 1; }
for command in munged slurmctld slurmd sbatch; do
    command -v "$command" >/dev/null || { echo "$command is not there: install slurm-wlm and munge." >&2; exit 1; }
done
if [ -e /etc/slurm/slurm.conf ] || pgrep -x munged >/dev/null || pgrep -x slurmctld >/dev/null; then
    echo "A Slurm or munge is set up or running here already; use that." >&2
    exit 1
fi

host=$(hostname -s)
work=$(mktemp -d)
stop() {  # by the ids that the daemons wrote down
    for daemon in slurmd slurmctld munged; do
        [ -f "$work/$daemon.pid" ] || continue
        pid=$(cat "$work/$daemon.pid")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
    done
    rm -rf "$work" /etc/slurm/slurm.conf
}
trap stop EXIT
trap 'exit 130' INT TERM

mkdir -p "$work/state" "$work/spool"
cat >"$work/slurm.conf" <<CONF
ClusterName=demo
SlurmctldHost=$host(127.0.0.1)
SlurmctldAddr=127.0.0.1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(getconf _NPROCESSORS_ONLN) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
dd if=/dev/urandom of="$work/munge.key" bs=1024 count=1 status=none
chmod 600 "$work/munge.key"
mkdir -p /etc/slurm
ln -s "$work/slurm.conf" /etc/slurm/slurm.conf  # $SLURM_CONF would not do: Snakemake clears Slurm's variables in its jobs

munged --force --key-file "$work/munge.key" --socket "$work/munge.socket" --pid-file "$work/munged.pid" \
    --log-file "$work/munged.log" --seed-file "$work/munge.seed"
slurmctld
slurmd
for _ in $(seq 30); do sinfo -h -o %T 2>/dev/null | grep -q idle && break; sleep 1; done
sinfo || { tail -n 20 "$work"/*.log >&2; exit 1; }

cat >"$work/grid.yaml" <<GRID
output: runs/sweeps/slurm-demo
blocks:
  - {datasets: [groundwear], seeds: [0], methods: [miu, finetune], reweight: false}
GRID
rm -rf "$here/../runs/sweeps/slurm-demo"
"$here/sweep" --configfile "$work/grid.yaml" --profile "$here/profiles/slurm" --jobs 2 --set-threads experiment=1 \
    --set-resources experiment:mem_mb=2000 --default-resources slurm_partition=main slurm_account=none runtime=30 "$@"
