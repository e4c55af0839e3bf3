#!/bin/sh
# One job: job.sh PYTHON NOTEBOOK FOLDER executes the notebook with FOLDER/parameters.yaml. Until it is
# finished, or if it fails, it is FOLDER/unfinished.ipynb: no declared output, so Snakemake does not delete it
# with its error.
set -eu
python=$1 notebook=$2 folder=$3
unset MPLBACKEND  # the kernel draws into the notebook

# One GPU for each job: Slurm names it; of several, the first that no job of this machine has, its lock held
# until this script ends.
if grep -q '^device: cuda' "$folder/parameters.yaml"; then
    # shellcheck disable=SC2046  # to be split
    set -- $(echo "${CUDA_VISIBLE_DEVICES:-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null || true)}" | tr , ' ')
    while [ $# -gt 1 ]; do
        for gpu; do
            exec 9>"${TMPDIR:-/tmp}/grmu-$(id -u)-gpu$gpu.lock"
            if flock -n 9; then export CUDA_VISIBLE_DEVICES="$gpu"; break 2; fi
        done
        sleep 2
    done
fi

cp "$folder/parameters.yaml" "$folder/begun.yaml"
# Papermill, without what it would import besides: grammars of web addresses, a second and a half a job.
"$python" -c 'import sys; sys.modules["rfc3987_syntax"] = None; from papermill.cli import papermill; papermill()' \
    "$notebook" "$folder/unfinished.ipynb" -f "$folder/parameters.yaml" -k python3 \
    --cwd "$(dirname "$notebook")" --no-progress-bar
mv "$folder/unfinished.ipynb" "$folder/notebook.ipynb"
mv "$folder/begun.yaml" "$folder/finished.yaml"  # what they were made with
rm -f "$folder/unfinished.html"  # a report's page of an earlier attempt
