#!/usr/bin/env bash
# Restore by several processes of this machine: tools/dist_restore.sh PROCESSES SOURCE ... [options of restore]
# Exit codes are those of restore. torchrun would end with 1 and a traceback where restore ends with 3 (some files
# failed), so the processes are started here, with the variables that torchrun sets.
[ $# -ge 2 ] || { echo "usage: $0 PROCESSES SOURCE ... [options]" >&2; exit 2; }
processes=$1
shift
case $processes in
    '' | *[!0-9]* | 0) echo "error: PROCESSES is '$processes'; it must be a positive number" >&2; exit 2 ;;
esac
export WORLD_SIZE=$processes LOCAL_WORLD_SIZE=$processes MASTER_ADDR=${MASTER_ADDR:-127.0.0.1} MASTER_PORT=${PORT:-29500}
# divide the cores among the processes; threads of two processes on one core would slow both down
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(( ($(nproc) + processes - 1) / processes ))}
"${PYTHON:-python}" -c 'import mmengine' || exit 1 # writes yapf's cache once, see restorebox/engine/launch.py
pids=()
end_all() { kill "${pids[@]}" 2>/dev/null; wait; exit "$1"; }
trap 'end_all 130' INT
trap 'end_all 143' TERM
for ((rank = 0; rank < processes; rank++)); do
    RANK=$rank LOCAL_RANK=$rank "${PYTHON:-python}" -m restorebox restore "$@" &
    pids+=($!)
done
result=0
for _ in "${pids[@]}"; do
    wait -n
    code=$?
    case $code in
        0) ;;
        3) result=3 ;;
        *) end_all "$code" ;; # the others would wait for this one
    esac
done
exit "$result"
