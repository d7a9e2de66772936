// A stand-in for CUDA's <cuda_bf16.h>: bfloat16 for storage, with conversions.
#ifndef COC_CUDA_BF16_H
#define COC_CUDA_BF16_H
#include <string.h>

namespace coc {
// The upper half of a binary32, rounded to nearest even.
static inline unsigned short bfloat16_bits(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;  // NaN
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
static inline float bfloat16_value(unsigned short upper) {
    const unsigned bits = (unsigned)upper << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
}  // namespace coc

struct __nv_bfloat16 {
    unsigned short bits;
    __nv_bfloat16() = default;
    __nv_bfloat16(float value) : bits(coc::bfloat16_bits(value)) {}
    operator float() const { return coc::bfloat16_value(bits); }
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

static inline float __bfloat162float(__nv_bfloat16 value) { return value; }
static inline __nv_bfloat16 __float2bfloat16_rn(float value) { return value; }
static inline __nv_bfloat16 __float2bfloat16(float value) { return value; }
static inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
static inline float __low2float(__nv_bfloat162 pair) { return pair.x; }
static inline float __high2float(__nv_bfloat162 pair) { return pair.y; }
#endif
