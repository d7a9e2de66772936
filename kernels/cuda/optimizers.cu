// Updates of all parameters in one launch: p, g and the optimizer's state are flat buffers.
//
// Where p is narrower than REAL, an update may be too small to change it. So `master` then holds the
// parameters as REAL, and p is what they round to (Micikevicius et al. 2018, "Mixed precision
// training"). Where p is something else, it has been set since, and that counts. Otherwise `master`
// is not used.
#include "common.cuh"

constexpr bool NARROW = sizeof(STORE) < sizeof(REAL);

__device__ __forceinline__ Pack load_parameters(const STORE* p, const REAL* master, long long i,
                                                long long n) {
    Pack pack = load(p, i, n);
    if constexpr (NARROW) {
        const Pack exact = load(master, i, n);
        for (int k = 0; k < WIDTH; k++)
            if ((REAL)(STORE)exact.v[k] == pack.v[k]) pack.v[k] = exact.v[k];
    }
    return pack;
}

__device__ __forceinline__ void store_parameters(STORE* p, REAL* master, long long i, long long n,
                                                 const Pack& pack) {
    if constexpr (NARROW) store(master, i, n, pack);
    store(p, i, n, pack);
}

// Learning rate of this step: the schedule's element, the nearest beyond its ends.
__device__ __forceinline__ double current(const double* lr, int rates, const long long* counters) {
    const long long step = counters[STEP];
    return lr[step < 0 ? 0 : step < rates ? step : rates - 1];
}

// Gradient with that of the penalties weight_decay p^2 / 2 and l1 |p|
__device__ __forceinline__ REAL penalized(REAL g, REAL p, REAL weight_decay, REAL l1) {
    return g + weight_decay * p + l1 * (REAL(p > 0) - REAL(p < 0));
}

// p -= lr * (g + weight_decay * p + l1 * sign(p))
extern "C" __global__ void __launch_bounds__(THREADS)
sgd(STORE* p, const STORE* g, REAL* master, const double* lr, int rates, const long long* counters,
    REAL weight_decay, REAL l1, long long n) {
    const REAL rate = current(lr, rates, counters);
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load_parameters(p, master, i, n), d = load(g, i, n);
        for (int k = 0; k < WIDTH; k++)
            pack.v[k] -= rate * penalized(d.v[k], pack.v[k], weight_decay, l1);
        store_parameters(p, master, i, n, pack);
    }
}

// g += penalties; v = momentum * v + g; p -= lr * v, or lr * (g + momentum * v) for Nesterov
extern "C" __global__ void __launch_bounds__(THREADS)
sgd_momentum(STORE* p, const STORE* g, REAL* master, REAL* velocity, const double* lr, int rates,
             const long long* counters, REAL momentum, int nesterov, REAL weight_decay,
             REAL l1, long long n) {
    const REAL rate = current(lr, rates, counters);
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load_parameters(p, master, i, n), d = load(g, i, n);
        Pack v = load(velocity, i, n);
        for (int k = 0; k < WIDTH; k++) {
            const REAL slope = penalized(d.v[k], pack.v[k], weight_decay, l1);
            const REAL speed = momentum * v.v[k] + slope;
            pack.v[k] -= rate * (nesterov ? slope + momentum * speed : speed);
            v.v[k] = speed;
        }
        store(velocity, i, n, v);
        store_parameters(p, master, i, n, pack);
    }
}

// g += penalties; squares = keep * squares + add * g^2; p -= lr * g / (sqrt(squares) + eps)
extern "C" __global__ void __launch_bounds__(THREADS)
adaptive(STORE* p, const STORE* g, REAL* master, REAL* squares, const double* lr, int rates,
         const long long* counters, REAL keep, REAL add, REAL eps, REAL weight_decay, REAL l1,
         long long n) {
    const REAL rate = current(lr, rates, counters);
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load_parameters(p, master, i, n), d = load(g, i, n);
        Pack square = load(squares, i, n);
        for (int k = 0; k < WIDTH; k++) {
            const REAL slope = penalized(d.v[k], pack.v[k], weight_decay, l1);
            square.v[k] = keep * square.v[k] + add * (slope * slope);
            pack.v[k] -= rate * slope / (sqrt(square.v[k]) + eps);
        }
        store(squares, i, n, square);
        store_parameters(p, master, i, n, pack);
    }
}

// With t = counters[UPDATES] + 1:
// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
// p -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
// Penalties are added to g; decoupled, p *= 1 - lr * weight_decay comes first instead of the one.
extern "C" __global__ void __launch_bounds__(THREADS)
adam(STORE* p, const STORE* g, REAL* master, REAL* m, REAL* v, const double* lr, int rates,
     const long long* counters, double beta1, double beta2, double eps, double weight_decay,
     int decoupled, REAL l1, long long n) {
    // What depends on the step is computed once a block, and in double, because 1 - beta2^t loses
    // four digits in float.
    __shared__ REAL step, unbias, shrink;
    if (threadIdx.x == 0) {
        const double t = counters[UPDATES] + 1;
        const double rate = current(lr, rates, counters);
        step = rate / (1 - pow(beta1, t));
        unbias = 1 / (1 - pow(beta2, t));
        shrink = decoupled ? 1 - rate * weight_decay : 1;
    }
    __syncthreads();
    const REAL decay = decoupled ? 0 : weight_decay;
    const REAL b1 = beta1, new1 = 1 - beta1, b2 = beta2, new2 = 1 - beta2, tiny = eps;
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load_parameters(p, master, i, n), d = load(g, i, n);
        Pack mean = load(m, i, n), square = load(v, i, n);
        for (int k = 0; k < WIDTH; k++) {
            const REAL x = shrink * pack.v[k];
            const REAL slope = penalized(d.v[k], pack.v[k], decay, l1);
            const REAL first_moment = b1 * mean.v[k] + new1 * slope;
            const REAL second_moment = b2 * square.v[k] + new2 * (slope * slope);
            pack.v[k] = x - step * first_moment / (sqrt(second_moment * unbias) + tiny);
            mean.v[k] = first_moment;
            square.v[k] = second_moment;
        }
        store(m, i, n, mean);
        store(v, i, n, square);
        store_parameters(p, master, i, n, pack);
    }
}
