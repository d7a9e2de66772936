// Sums over a block and over a grid. Their order is fixed, so that two runs give the same bits.
#include "common.cuh"

// Sum over a block of whole warps, which every thread receives.
__device__ double block_sum(double value) {
    __shared__ double warp_sums[32];
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
    if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = value;
    __syncthreads();
    double sum = 0;
    for (int warp = 0; warp < blockDim.x / 32; warp++) sum += warp_sums[warp];
    __syncthreads();  // before the next sum overwrites warp_sums
    return sum;
}

// Whether this block is the last of `blocks` to get here; it then sees all that the others wrote.
// A kernel can so finish what its blocks began, where a second launch would cost microseconds.
// `done` is 0 before the first block and again after the last.
__device__ __forceinline__ bool last_block(unsigned* done, unsigned blocks) {
    __shared__ bool last;
    __threadfence();  // each thread's writes, before its block is counted
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) last = atomicInc(done, blocks - 1) == blocks - 1;
    __syncthreads();
    __threadfence();  // nothing that is read from here on comes from an older cache line
    return last;
}

// Add up a loss and a number of correct answers over all threads of all blocks, and write the
// loss times `scale` and the number to row counters[STEP] of the log, if it has that of its `steps`.
// `partial` has two numbers for each block.
__device__ void write_log(double loss, double correct, double scale, double* partial,
                          unsigned* done, double* log, long long steps,
                          const long long* counters) {
    const long long step = counters[STEP];  // on its way while the sums are made
    loss = block_sum(loss);
    correct = block_sum(correct);
    if (gridDim.x > 1) {
        if (threadIdx.x == 0) {
            partial[2 * blockIdx.x] = loss;
            partial[2 * blockIdx.x + 1] = correct;
        }
        if (!last_block(done, gridDim.x)) return;
        loss = correct = 0;
        for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x) {
            loss += partial[2 * block];
            correct += partial[2 * block + 1];
        }
        loss = block_sum(loss);
        correct = block_sum(correct);
    }
    if (threadIdx.x == 0 && step >= 0 && step < steps) {
        log[2 * step] = loss * scale;
        log[2 * step + 1] = correct;
    }
}
