#!/bin/sh
# One job: job.sh PYTHON NOTEBOOK FOLDER executes the notebook with FOLDER/parameters.yaml. Until it is finished, or if it fails, it
# is FOLDER/unfinished.ipynb: no declared output, so Snakemake does not delete it with its error.
set -eu
python=$1 notebook=$2 folder=$3
unset MPLBACKEND  # the kernel draws into the notebook

# One GPU for each job: Slurm names it; else the first that no job of this machine has, its lock held until this script ends.
if grep -q '^device: cuda' "$folder/parameters.yaml" && [ -z "${CUDA_VISIBLE_DEVICES:-}" ]; then
    n=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ' || true)
    i=0
    while [ "${n:-0}" -gt 0 ]; do
        exec 9>"${TMPDIR:-/tmp}/grmu-$(id -u)-gpu$i.lock"
        if flock -n 9; then export CUDA_VISIBLE_DEVICES=$i; break; fi
        i=$(((i + 1) % n))
        [ $i -ne 0 ] || sleep 2
    done
fi

"$python" -m papermill "$notebook" "$folder/unfinished.ipynb" -f "$folder/parameters.yaml" -k python3 \
    --cwd "$(dirname "$notebook")" --no-progress-bar
mv "$folder/unfinished.ipynb" "$folder/notebook.ipynb"
