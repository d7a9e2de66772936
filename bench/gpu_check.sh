#!/usr/bin/env bash
# Everything that needs a GPU, in one call of under 8 minutes:
#
#     bench/gpu_check.sh OUTPUT          tests, training, kernels, steps, comparison; a summary last
#     bench/gpu_check.sh OUTPUT --cpu    the same without a GPU and in small, to try the script out
#
# PYTHON names the interpreter (default: python3). It needs nnkit's dependencies, CuPy, pytest and
# pytest-benchmark; PyTorch and JAX where they are to be compared. OUTPUT receives a log for each
# part, the results as JSON, the chart and summary.txt. A part that fails or takes too long does not
# stop the others. The exit code is the number of parts that did not end well.
set -uo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ] || { [ $# -eq 2 ] && [ "$2" != --cpu ]; }; then
  sed -nE '2,12s/^# ?//p' "$0" >&2
  exit 64
fi

mkdir -p "$1" || exit 64
output=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 64
python=${PYTHON:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
deadline=460
failures=0
summary=()

# part NAME SECONDS COMMAND...: run a command with a time limit, and note how it ended.
part() {
  local name=$1 limit=$2 log=$output/$1.log start=$SECONDS left=$((deadline - SECONDS)) code verdict
  shift 2
  if [ "$left" -lt 5 ]; then
    summary+=("$(printf '%-10s %-12s %5s   %s' "$name" 'NO TIME LEFT' 0 '')")
    failures=$((failures + 1))
    return
  fi
  if [ "$limit" -gt "$left" ]; then limit=$left; fi
  echo "== $name (at most $limit s)"
  timeout -k 5 "$limit" "$@" >"$log" 2>&1
  code=$?
  case $code in
    0) verdict=ok ;;
    124 | 137) verdict='TIMED OUT' ;;
    *) verdict="FAILED ($code)" ;;
  esac
  if [ "$code" -ne 0 ]; then
    failures=$((failures + 1))
    tail -n 15 "$log"
  fi
  summary+=("$(printf '%-10s %-12s %5d   %s' "$name" "$verdict" $((SECONDS - start)) "$(tail -n 1 "$log" | cut -c 1-200)")")
}

# show NAME: the tables that a part has printed.
show() {
  if [ -f "$output/$1.log" ]; then
    echo
    echo "== $1"
    grep -vE '^(=+|platform |rootdir|configfile|plugins|cachedir)' "$output/$1.log" | tail -n "$2"
  fi
}

workers=()
if "$python" -c 'import xdist' 2>/dev/null; then workers=(-n 4 --dist loadfile); fi

if [ $# -eq 2 ]; then
  export NNKIT_BACKEND=numpy NNKIT_TEST_BACKENDS=numpy
  part machine 30 "$python" -c 'import nnkit.system as s; print(s.format_info(s.info()))'
  part training 60 "$python" -m bench.accuracy --backend numpy --data digits
  part tests 60 "$python" -m pytest -q --benchmark-disable tests/test_layers.py
  part kernels 60 "$python" -m bench.run kernels --backends numpy -k 128x --output "$output"
  part steps 60 "$python" -m bench.run steps --backends numpy -k 'step and deep' --output "$output"
  part compare 90 "$python" -m bench.compare --networks deep --peers nnkit-numpy,products,numpy \
    --rounds 2 --steps 50 --output "$output"
else
  export NNKIT_BACKEND=cupy NNKIT_TEST_BACKENDS=cupy
  nvidia-smi >"$output/nvidia-smi.txt" 2>&1
  part machine 30 "$python" -c 'import nnkit.system as s; print(s.format_info(s.info()))'
  part training 50 "$python" -m bench.accuracy --backend cupy
  part tests 120 "$python" -m pytest -q "${workers[@]}" --benchmark-disable tests
  part kernels 80 "$python" -m bench.run kernels --device cuda --backends cupy --output "$output"
  part steps 50 "$python" -m bench.run steps --device cuda --backends cupy --output "$output"
  part compare 170 "$python" -m bench.compare --device cuda --rounds 5 \
    --networks one-hidden,tiny-batch,small,medium,large --output "$output"
fi

show kernels 80
show steps 40
show compare 40
{
  echo
  printf '%-10s %-12s %5s   %s\n' part result s 'last line'
  printf '%s\n' "${summary[@]}"
  echo "$SECONDS s in all; logs and results are in $output"
} | tee "$output/summary.txt"
exit "$failures"
