#!/bin/bash
# One step on many GPUs of a Slurm cluster: a job array that shares the step's files.
#
#     id=$(sbatch --parsable --array=0-15 docs/recipes/slurm.sh stages.annotate --fold 0)
#     sbatch --dependency=afterany:$id docs/recipes/slurm.sh stages.annotate --fold 0
#
# Every task of the array writes each 16th file into .scratch/, whenever it starts. The second job
# runs the same command: it finds those files, makes what is missing (of a task that was preempted,
# for example) and joins them. Both run in the project's folder, on a file system that all nodes
# see. Then `dvc commit -f annotate@0` records the result. stages.extract and stages.index as well.
#SBATCH --job-name=fsslib
#SBATCH --gpus-per-task=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --output=slurm-%A-%a.log
set -euo pipefail

cd "${SLURM_SUBMIT_DIR:-.}"
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    first=${SLURM_ARRAY_TASK_MIN:-0}
    export FSSLIB_SHARE="$((SLURM_ARRAY_TASK_ID - first))/${SLURM_ARRAY_TASK_COUNT}"
fi
PATH="$PWD/.venv/bin:$PATH"
exec python -m "$@"
