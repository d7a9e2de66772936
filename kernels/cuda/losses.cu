// Losses of single elements, each with its gradient in the same pass.
#include "activations.cuh"
#include "reduce.cuh"

// A loss and its derivative by y.
struct Slope {
    REAL loss, gradient;
};

// Every loss, by its code in kernels/table.py; `a` is its number.
__device__ __forceinline__ Slope elementwise(int code, REAL y, REAL t, REAL a) {
    const REAL difference = y - t, size = fabs(difference);
    const REAL yes = y + a, no = 1 - y + a, margin = 1 - t * y;
    switch (code) {
        case 0: return {(y < 0 ? 0 : y) - y * t + log1p(exp(-fabs(y))), sigmoid(y) - t};
        case 1: return {-t * log(yes) - (1 - t) * log(no), (1 - t) / no - t / yes};
        case 2: return {difference * difference, 2 * difference};
        case 3: return {difference * difference / 2, difference};
        case 4: return {margin <= 0 ? 0 : margin, t * y < 1 ? -t : 0};
        case 6: return {exp(y) - t * y, exp(y) - t};
        default: return {size > a ? a * (size - a / 2) : difference * difference / 2,
                         size > a ? copysign(a, difference) : difference};  // huber
    }
}

// dy = the derivatives over `count`, the loss logged = the sum over `count`. If `counts`, answers
// are right where (y > threshold) == (t > 0.5). Rows of `columns` may have weights.
extern "C" __global__ void __launch_bounds__(THREADS)
elementwise_loss(int code, const STORE* y, const STORE* target, STORE* dy, const REAL* weights,
                 long long columns, REAL a, int counts, REAL threshold, long long count,
                 long long n, double* partial, unsigned* done, double* record, long long steps,
                 const long long* counters) {
    const REAL scale = (REAL)1 / count;
    double loss = 0, correct = 0;
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(y, i, n), t = load(target, i, n);
        for (int k = 0; k < WIDTH; k++) {
            const Slope slope = elementwise(code, pack.v[k], t.v[k], a);
            const REAL weight = weights && i + k < n ? weights[(i + k) / columns] : 1;
            if (i + k < n) {
                loss += weight * slope.loss;
                correct += weight * (counts && (pack.v[k] > threshold) == (t.v[k] > (REAL)0.5));
            }
            pack.v[k] = slope.gradient * (weight * scale);
        }
        store(dy, i, n, pack);
    }
    write_log(loss, correct, 1.0 / count, partial, done, record, steps, counters);
}
