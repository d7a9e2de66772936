// Losses of single elements, each with its gradient in the same pass.
#include "activations.cuh"
#include "reduce.cuh"

// loss = mean(max(z, 0) - z * target + log(1 + exp(-|z|))), dz = (sigmoid(z) - target) / n
extern "C" __global__ void __launch_bounds__(THREADS)
sigmoid_cross_entropy(const STORE* z, const STORE* target, STORE* dz, long long n, double* partial,
                      unsigned* done, double* record, const long long* counters) {
    const REAL scale = (REAL)1 / n;
    double loss = 0, correct = 0;
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(z, i, n), t = load(target, i, n);
        for (int k = 0; k < WIDTH; k++) {
            const REAL x = pack.v[k], p = t.v[k];
            if (i + k < n) {
                loss += (x < 0 ? 0 : x) - x * p + log1p(exp(-fabs(x)));
                correct += (x > 0) == (p > (REAL)0.5);
            }
            pack.v[k] = (sigmoid(x) - p) * scale;
        }
        store(dz, i, n, pack);
    }
    write_log(loss, correct, 1.0 / n, partial, done, record, counters);
}

// loss = mean((y - target)^2), dy = 2 * (y - target) / n
extern "C" __global__ void __launch_bounds__(THREADS)
mean_squared_error(const STORE* y, const STORE* target, STORE* dy, long long n, double* partial,
                   unsigned* done, double* record, const long long* counters) {
    const REAL scale = (REAL)2 / n;
    double loss = 0;
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(y, i, n), t = load(target, i, n);
        for (int k = 0; k < WIDTH; k++) {
            const REAL difference = pack.v[k] - t.v[k];
            loss += (double)difference * difference;
            pack.v[k] = difference * scale;
        }
        store(dy, i, n, pack);
    }
    write_log(loss, 0, 1.0 / n, partial, done, record, counters);
}
