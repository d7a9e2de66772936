// What happens to all gradients between the backward pass and the update, on flat buffers.
#include "reduce.cuh"

// total = weight * g to start with, else total += weight * g
extern "C" __global__ void __launch_bounds__(THREADS)
accumulate(const STORE* g, STORE* total, REAL weight, int start, long long n) {
    for (long long i = first(); i < n; i += stride()) {
        Pack sum = load(total, i, n), d = load(g, i, n);
        for (int k = 0; k < WIDTH; k++) sum.v[k] = (start ? 0 : sum.v[k]) + weight * d.v[k];
        store(total, i, n, sum);
    }
}

// total = sum(x^2) to start with, else total += sum(x^2); `partial` has a number for each block
extern "C" __global__ void __launch_bounds__(THREADS)
sum_of_squares(const STORE* x, double* total, int start, double* partial, unsigned* done,
               long long n) {
    double sum = 0;
    for (long long i = first(); i < n; i += stride()) {
        const Pack pack = load(x, i, n);
        for (int k = 0; k < WIDTH; k++) sum += (double)pack.v[k] * pack.v[k];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
    if (!last_block(done, gridDim.x)) return;
    sum = 0;
    for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x)
        sum += partial[block];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total = (start ? 0 : *total) + sum;
}

// x *= limit / (sqrt(total) + 1e-6), if that is below 1
extern "C" __global__ void __launch_bounds__(THREADS)
clip(STORE* x, const double* total, double limit, long long n) {
    const double factor = limit / (sqrt(*total) + 1e-6);
    if (!(factor < 1)) return;
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(x, i, n);
        for (int k = 0; k < WIDTH; k++) pack.v[k] *= (REAL)factor;
        store(x, i, n, pack);
    }
}
