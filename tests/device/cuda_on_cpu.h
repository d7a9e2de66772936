// Runs CUDA C++ kernels on the CPU, for tests: it shows whether a kernel is right, not how fast.
//
//   fibers.h        threads as fibers, and the switch between them
//   signals.h       faults and endless loops
//   scheduler.h     barriers, warps, blocks, and the order in which they run
//   checks.h        alignment, array bounds, shifts, division by zero, assertions
//   intrinsics.h    __syncthreads, __shfl_*, atomics, bit operations
//   device_math.h   CUDA's mathematical functions
//   vectors.h       float4 and its kin
//   include/        stand-ins for <cuda_fp16.h> and <cuda_bf16.h>
//
// Caught: deadlocks, divergent barriers, shuffles from missing lanes, uninitialised shared memory
// (it is poisoned), stack overflow, illegal and misaligned addresses, endless loops; missing barriers
// show as results that depend on the thread order. Not modelled: speed, memory ordering between
// threads, blocks that wait for each other, the exact rounding of the device's mathematical
// functions, and that CuPy has float denormals flushed to zero.
#pragma once
#include <typeinfo>
#include <utility>

#include "device_math.h"
#include "include/cuda_bf16.h"
#include "include/cuda_fp16.h"
#include "intrinsics.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __constant__ static
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_assume(condition) ((void)0)
// see scheduler.h; "used", because the compiler takes what is never written for zero
#define __shared__ static thread_local __attribute__((used))

namespace coc {

// Calls a kernel with arguments given by address, in the types of its own signature.
template <class... Parameters>
struct Call {
    void (*kernel)(Parameters...);
    void** arguments;

    template <size_t... I>
    void run(std::index_sequence<I...>) {
        kernel(*(std::remove_const_t<Parameters>*)arguments[I]...);
    }
    static void body(void* self) { ((Call*)self)->run(std::index_sequence_for<Parameters...>{}); }
};
template <class... Parameters>
static int launch_kernel(void (*kernel)(Parameters...), void** arguments, const unsigned* grid,
                         const unsigned* block, unsigned dynamic_bytes, int order, unsigned seed) {
    Call<Parameters...> call{kernel, arguments};
    return launch(call.body, &call, grid, block, dynamic_bytes, order, seed);
}

// The types of a kernel's parameters, mangled as in the Itanium C++ ABI; a null pointer ends them.
template <class... Parameters>
static const char* const* signature(void (*)(Parameters...)) {
    static const char* const names[] = {typeid(Parameters).name()..., nullptr};
    return names;
}

}  // namespace coc

#define COC_EXPORT(KERNEL, ...)                                                                    \
    extern "C" int coc_launch_##KERNEL(void** arguments, const unsigned* grid,                     \
                                       const unsigned* block, unsigned dynamic_bytes, int order,   \
                                       unsigned seed) {                                            \
        return coc::launch_kernel(&coc_kernels::KERNEL, arguments, grid, block, dynamic_bytes,     \
                                  order, seed);                                                    \
    }                                                                                              \
    extern "C" const char* const* coc_signature_##KERNEL() {                                       \
        return coc::signature(&coc_kernels::KERNEL);                                               \
    }                                                                                              \
    extern "C" int coc_max_threads_##KERNEL() {                                                    \
        using namespace coc_kernels;                                                               \
        const int bounds[] = {__VA_ARGS__};                                                        \
        return bounds[0];                                                                          \
    }

extern "C" const char* coc_error() { return coc::machine.error; }
