// A stand-in for CUDA's <cuda_fp16.h>: float16 for storage, with conversions.
#ifndef COC_CUDA_FP16_H
#define COC_CUDA_FP16_H
#include <math.h>
#include <string.h>

namespace coc {
// IEEE 754 binary16, rounded to nearest even.
static inline unsigned short half_bits(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    const unsigned sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0x7fff;                   // NaN
    if (magnitude >= 0x47800000u) return sign | 0x7c00u;          // 2^16 and above
    if (magnitude < 0x38800000u)                                  // below 2^-14: subnormal
        return sign | (unsigned)nearbyintf(fabsf(value) * 16777216.0f);
    const unsigned rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return sign | (rounded - 0x38000000u) >> 13;
}
static inline float half_value(unsigned short half) {
    const unsigned sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31u, fraction = half & 0x3ffu;
    unsigned bits = sign | (exponent + 112u) << 23 | fraction << 13;
    if (exponent == 31) bits = sign | 0x7f800000u | fraction << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    if (exponent == 0) value = (sign ? -1.0f : 1.0f) * (float)fraction / 16777216.0f;
    return value;
}
}  // namespace coc

struct __half {
    unsigned short bits;
    __half() = default;
    __half(float value) : bits(coc::half_bits(value)) {}
    operator float() const { return coc::half_value(bits); }
};
struct alignas(4) __half2 {
    __half x, y;
};
typedef __half half;
typedef __half2 half2;

static inline float __half2float(__half value) { return value; }
static inline __half __float2half_rn(float value) { return value; }
static inline __half __float2half(float value) { return value; }
static inline __half __double2half(double value) { return (float)value; }
static inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
static inline __half2 __floats2half2_rn(float x, float y) { return {x, y}; }
static inline float __low2float(__half2 pair) { return pair.x; }
static inline float __high2float(__half2 pair) { return pair.y; }
#endif
