// Barriers, warp intrinsics, atomics, cached loads and bit operations.
#pragma once
#include <type_traits>

#include "checks.h"

#define threadIdx (coc::machine.thread)
#define blockIdx (coc::machine.block)
#define blockDim (coc::machine.block_dim)
#define gridDim (coc::machine.grid_dim)
#define warpSize 32

// ------------------------------------------------------------------------- barriers

static inline void __syncthreads(int line = __builtin_LINE()) { coc::wait_at_barrier(line, 0); }
static inline int __syncthreads_count(int predicate, int line = __builtin_LINE()) {
    coc::wait_at_barrier(line, predicate);
    return coc::machine.active->barrier_true;
}
static inline int __syncthreads_and(int predicate, int line = __builtin_LINE()) {
    const int count = __syncthreads_count(predicate, line);
    return count == (int)coc::machine.active->barrier_size;
}
static inline int __syncthreads_or(int predicate, int line = __builtin_LINE()) {
    return __syncthreads_count(predicate, line) != 0;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}

// ------------------------------------------------------------------------- warp intrinsics

static inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) {
    coc::wait_for_warp(coc::WarpOp::sync, mask, 0, 0, line);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return (unsigned)coc::wait_for_warp(coc::WarpOp::ballot, mask, predicate != 0, 0, line);
}
static inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, predicate, line) != 0;
}
static inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, !predicate, line) == 0;
}

namespace coc {
template <class T>
static inline T shuffle(unsigned mask, T value, int lane, int line) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>, "shuffles take 8 bytes at most");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = wait_for_warp(WarpOp::shuffle, mask, bits, lane, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}
// The segment of `width` lanes to which the calling lane belongs.
struct Segment {
    int lane, first, last;
    explicit Segment(int width) : lane(machine.current % WARP) {
        first = lane & ~(width - 1);
        last = first + width - 1;
    }
};
}  // namespace coc

template <class T>
static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32,
                            int line = __builtin_LINE()) {
    coc::Segment at(width);
    return coc::shuffle(mask, value, at.first + (source & (width - 1)), line);
}
template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                                int line = __builtin_LINE()) {
    coc::Segment at(width);
    int source = at.lane ^ lane_mask;
    return coc::shuffle(mask, value, source <= at.last ? source : at.lane, line);
}
template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                 int line = __builtin_LINE()) {
    coc::Segment at(width);
    int source = at.lane + (int)delta;
    return coc::shuffle(mask, value, source <= at.last ? source : at.lane, line);
}
template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                               int line = __builtin_LINE()) {
    coc::Segment at(width);
    int source = at.lane - (int)delta;
    return coc::shuffle(mask, value, source >= at.first ? source : at.lane, line);
}

// ------------------------------------------------------------------------- atomics
// Threads take turns on one OS thread, so plain operations are atomic.

#define COC_ATOMIC(NAME, NEW_VALUE)                                                                \
    template <class T>                                                                             \
    static inline T NAME(T* address, std::common_type_t<T> value) {                                \
        T old = *address;                                                                          \
        *address = NEW_VALUE;                                                                      \
        return old;                                                                                \
    }
COC_ATOMIC(atomicAdd, old + value)
COC_ATOMIC(atomicSub, old - value)
COC_ATOMIC(atomicMax, value > old ? value : old)
COC_ATOMIC(atomicMin, value < old ? value : old)
COC_ATOMIC(atomicExch, value)
COC_ATOMIC(atomicAnd, old & value)
COC_ATOMIC(atomicOr, old | value)
COC_ATOMIC(atomicXor, old ^ value)
COC_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
COC_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1)

template <class T>
static inline T atomicCAS(T* address, std::common_type_t<T> expected, std::common_type_t<T> value) {
    T old = *address;
    if (old == expected) *address = value;
    return old;
}

// ------------------------------------------------------------------------- loads and stores

#define COC_LOAD(NAME)                                                                             \
    template <class T>                                                                             \
    static inline T NAME(const T* address) { return *address; }
#define COC_STORE(NAME)                                                                            \
    template <class T>                                                                             \
    static inline void NAME(T* address, std::common_type_t<T> value) { *address = value; }
COC_LOAD(__ldg) COC_LOAD(__ldca) COC_LOAD(__ldcg) COC_LOAD(__ldcs) COC_LOAD(__ldlu) COC_LOAD(__ldcv)
COC_STORE(__stwb) COC_STORE(__stcg) COC_STORE(__stcs) COC_STORE(__stwt)

// ------------------------------------------------------------------------- bits

namespace coc {
template <class To, class From>
static inline To bit_cast(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    memcpy(&result, &value, sizeof result);
    return result;
}
}  // namespace coc

static inline float __int_as_float(int x) { return coc::bit_cast<float>(x); }
static inline float __uint_as_float(unsigned x) { return coc::bit_cast<float>(x); }
static inline int __float_as_int(float x) { return coc::bit_cast<int>(x); }
static inline unsigned __float_as_uint(float x) { return coc::bit_cast<unsigned>(x); }
static inline double __longlong_as_double(long long x) { return coc::bit_cast<double>(x); }
static inline long long __double_as_longlong(double x) { return coc::bit_cast<long long>(x); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline unsigned __brev(unsigned x) {
    unsigned result = 0;
    for (int i = 0; i < 32; i++) result |= (x >> i & 1) << (31 - i);
    return result;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
static inline int __mulhi(int a, int b) { return (int64_t)a * b >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}
static inline long long __mul64hi(long long a, long long b) { return (__int128)a * b >> 64; }
