#!/bin/bash
# A Ray cluster on a Slurm allocation, and a study on it. The arguments are those of kshot study:
#
#     sbatch --nodes 4 --gpus-per-node 8 --cpus-per-task 64 --time 24:00:00 \
#         docs/slurm-ray.sh table9 --scale paper --results /shared/results --gpus-per-job 0.5
#
# Submitted again it goes on where it was. Results must lie on storage that all nodes share.
#SBATCH --job-name kshot
#SBATCH --ntasks-per-node 1
#SBATCH --signal B:TERM@120
set -euo pipefail

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
ip=$(srun --nodes 1 --ntasks 1 --nodelist "$head" hostname --ip-address | awk '{print $1}')
# Several such jobs may share a node, each with its own Ray.
address=$ip:$((20000 + SLURM_JOB_ID % 10000))
started=()
study=

stop() {
    kill "${started[@]}" 2>/dev/null || true
    wait "${started[@]}" 2>/dev/null || true
}
trap stop EXIT
# Slurm's warning before the end of its time: the study says how to go on, and ends.
trap 'if [ -n "$study" ]; then kill -TERM "$study"; fi' TERM

options=(--num-cpus "${SLURM_CPUS_PER_TASK:-1}" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" --block)
srun --nodes 1 --ntasks 1 --nodelist "$head" --overlap \
    ray start --head --node-ip-address "$ip" --port "${address#*:}" \
    --include-dashboard false "${options[@]}" &
started+=($!)
if [ "${#nodes[@]}" -gt 1 ]; then
    srun --nodes $((${#nodes[@]} - 1)) --ntasks $((${#nodes[@]} - 1)) --exclude "$head" --overlap \
        bash -c 'until ray start --address "$0" "$@"; do sleep 2; done' \
        "$address" "${options[@]}" &
    started+=($!)
fi

# The study asks every node whether it sees the results folder, so all of them should be there.
for _ in $(seq "${KSHOT_SLURM_TRIES:-60}"); do
    joined=$(ray status --address "$address" 2>/dev/null | grep -c ' node_' || true)
    [ "$joined" -ge "${#nodes[@]}" ] && break
    sleep 2
done
if [ "$joined" -lt "${#nodes[@]}" ]; then
    echo "only $joined of ${#nodes[@]} nodes joined the Ray cluster at $address" >&2
    exit 1
fi

python -m benchmark.study "$@" --executor ray --address "$address" &
study=$!
code=0
wait "$study" || code=$?
# A trapped signal ends the first wait before the study has ended.
while kill -0 "$study" 2>/dev/null; do
    code=0
    wait "$study" || code=$?
done
exit "$code"
