#!/usr/bin/env bash
# Everything that needs a GPU, in one call of under 10 minutes:
#
#     bench/gpu_check.sh OUTPUT          correctness, training, tests, speed; a summary after each
#     bench/gpu_check.sh OUTPUT --cpu    the same without a GPU and in small, to try the script out
#
# With PARTS="compile suite" in the environment it takes these parts alone, and with PATIENCE=2 each
# may take twice as long. PYTHON names the interpreter (default: python3). It needs nnkit's
# dependencies, CuPy, hypothesis, pytest and pytest-benchmark; pytest-xdist, Compute Sanitizer,
# PyTorch and JAX are used where they are. OUTPUT receives two files, anew after every part:
# summary.txt, and gpu_check.tar.gz with each part's log and the results as JSON. A part that fails or
# takes too long is ended with all its children and does not stop the others. The exit code is the
# number of parts that did not end well.
set -um -o pipefail # m: every part is a process group of its own

if [ $# -lt 1 ] || [ $# -gt 2 ] || { [ $# -eq 2 ] && [ "$2" != --cpu ]; }; then
  sed -nE '2,/^set /s/^# ?//p' "$0" >&2
  exit 64
fi

mkdir -p "$1" || exit 64
home=$(cd "$1" && pwd)
output=$(mktemp -d) || exit 64
if [ -n "${NNKIT_DATA_DIR:-}" ]; then
  NNKIT_DATA_DIR=$(cd "$NNKIT_DATA_DIR" && pwd) || exit 64
  export NNKIT_DATA_DIR
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 64
if [ $# -eq 1 ] && [ -z "${NNKIT_BENCH_COMMIT:-}" ] && ! git rev-parse HEAD >/dev/null 2>&1; then
  echo "There is no Git checkout here: set NNKIT_BENCH_COMMIT to the commit that is measured." >&2
  exit 64
fi
python=${PYTHON:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export PYTHONFAULTHANDLER=1 # a part that takes too long says where it was
unset NNKIT_BACKEND
ulimit -c 0
deadline=580 # the limits below add up to less
patience=${PATIENCE:-1}
failures=0
group=
warming=
summary=()
trap 'end "$group"; end "$warming"; bring_home; rm -rf "$output"' EXIT
trap 'exit 99' TERM INT HUP

# end GROUP: kill a process group, if one is named.
end() {
  if [ -n "$1" ]; then kill -KILL -- "-$1" 2>/dev/null; fi
}

# bring_home: put what there is into OUTPUT, never half of a file.
bring_home() {
  if [ -f "$output/summary.txt" ]; then cp "$output/summary.txt" "$home/summary.txt"; fi
  tar -czf "$home/new.tar.gz" -C "$output" . && mv "$home/new.tar.gz" "$home/gpu_check.tar.gz"
}

# part NAME SECONDS COMMAND...: run a command with a time limit, and note how it ended.
part() {
  local name=$1 limit=$(($2 * patience)) log=$output/$1.log start=$SECONDS code verdict
  local left=$((deadline * patience - SECONDS))
  shift 2
  if [ -n "${PARTS:-}" ] && [[ " $PARTS " != *" $name "* ]]; then return; fi
  if [ "$left" -lt 5 ]; then
    note "$name" 'NO TIME LEFT' 0 ''
    failures=$((failures + 1))
    return
  fi
  if [ "$limit" -gt "$left" ]; then limit=$left; fi
  echo "== $name (at most $limit s)"
  timeout -s ABRT -k 2 "$limit" "$@" >"$log" 2>&1 </dev/null &
  group=$!
  wait "$group"
  code=$?
  end "$group" # what it has left behind
  group=
  verdict="FAILED ($code)"
  if [ "$code" -eq 0 ]; then verdict=ok; fi
  if [ "$code" -ge 124 ] && [ $((SECONDS - start)) -ge "$limit" ]; then verdict='TIMED OUT'; fi
  if grep -qs 'Error: Device not supported' "$log"; then
    verdict='UNSUPPORTED'
  elif [ "$code" -ne 0 ]; then
    failures=$((failures + 1))
    tail -n 15 "$log"
  fi
  note "$name" "$verdict" $((SECONDS - start)) \
    "$(sed '/^Fatal Python error/,$d' "$log" | grep . | tail -n 1 | cut -c 1-200)" # not a stack
}

# note NAME RESULT SECONDS TEXT: add a line to the summary, and save what there is of it.
note() {
  summary+=("$(printf '%-10s %-12s %5d   %s' "$@")")
  {
    printf '%-10s %-12s %5s   %s\n' part result s 'last line'
    printf '%s\n' "${summary[@]}"
    echo "$SECONDS s in all; logs and results are in $home/gpu_check.tar.gz"
  } >"$output/summary.txt"
  bring_home
}

# sanitize TOOL SECONDS OPTIONS...: a small smoke test under Compute Sanitizer, where there is one.
# It looks at nnkit's kernels alone, where it can choose: NVIDIA's own would take most of the time.
sanitize() {
  local tool=$1 limit=$2 ours
  shift 2
  if command -v compute-sanitizer >/dev/null; then
    if compute-sanitizer --help 2>/dev/null | grep -q -e '--kernel-name '; then
      ours=$(timeout 10 "$python" -c \
        'from bench.launches import kernel_names; print("|".join(sorted(kernel_names())))')
      if [ -n "$ours" ]; then set -- "$@" --kernel-name "regex=^($ours)\$"; fi
    fi
    part "$tool" "$limit" compute-sanitizer --tool "$tool" --error-exitcode 99 --print-limit 20 \
      --target-processes application-only "$@" \
      "$python" -m bench.smoke --backend cupy --no-pool --steps 18 --dtypes float32
  else
    note "$tool" 'NOT HERE' 0 'compute-sanitizer is not on the PATH'
  fi
}

workers=()
if "$python" -c 'import xdist' 2>/dev/null; then workers=(-n 12 --dist worksteal); fi
suite=(env OPENBLAS_NUM_THREADS=1 "$python" -m pytest -v --tb short -p bench.gpu_tests
  -p no:cacheprovider --benchmark-disable
  -W default::DeprecationWarning -W default::PendingDeprecationWarning -W default::FutureWarning)
import_all='
import contextlib, importlib
for name in ("torch", "torch._inductor.compile_fx", "jax", "optax", "sklearn.neural_network"):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
'
about=("$python" -c 'import nnkit.system as s; print(s.format_info(s.info()))')

if [ $# -eq 2 ]; then
  export NNKIT_TEST_BACKENDS=numpy
  part machine 20 "${about[@]}"
  part smoke 30 "$python" -m bench.smoke --backend numpy
  part training 60 "$python" -m bench.accuracy --backend numpy --data digits
  part suite 60 "${suite[@]}" tests/test_layers.py tests/test_cli.py
  part kernels 40 "$python" -m bench.run kernels --backends numpy -k 128x10 --output "$output"
  part steps 40 "$python" -m bench.run steps --backends numpy \
    -k 'test_step and deep and captured' --output "$output"
  part compare 60 "$python" -m bench.compare --networks deep --peers nnkit-numpy,numpy \
    --rounds 2 --steps 50 --output "$output"
else
  export NNKIT_TEST_BACKENDS=cupy
  timeout 10 nvidia-smi >"$output/nvidia-smi.txt" 2>&1
  "$python" -c "$import_all" >/dev/null 2>&1 & # a disk that is read for the first time is slow
  warming=$!
  part machine 35 "${about[@]}"
  part compile 45 "$python" -m bench.compile
  part smoke 25 "$python" -m bench.smoke --backend cupy
  sanitize memcheck 35 --report-api-errors no
  sanitize racecheck 60
  sanitize synccheck 20
  end "$warming"
  part training 25 "$python" -m bench.accuracy --backend cupy
  part suite 120 "${suite[@]}" "${workers[@]}" tests
  half=$(timeout 10 "$python" -c 'from tests.test_kernel_runs import HALF; print(*HALF.split())')
  part half 15 env NNKIT_TEST_DTYPES='float16 bfloat16' "${suite[@]}" "${workers[@]}" -k "${half:-none}" \
    tests/operations
  part kernels 35 "$python" -m bench.run kernels --device cuda --backends cupy --output "$output"
  part steps 25 "$python" -m bench.run steps --device cuda --backends cupy -k 'test_step and captured' \
    --output "$output"
  part compare 130 "$python" -m bench.compare --device cuda --rounds 5 --patience 45 \
    --networks one-hidden,small,medium,lenet,simple_conv,large,tiny-batch --output "$output"
fi

timeout 15 "$python" -m bench.summaries "$output"
echo
cat "$output/summary.txt"
exit "$failures"
