// The part of CUDA's mathematical library that <math.h> lacks.
#pragma once
#include <math.h>
#include <stdlib.h>
#include <type_traits>

// NVRTC has none of these, so that kernels define their own.
#undef INFINITY
#undef NAN
#undef HUGE_VAL
#undef HUGE_VALF
#undef M_E
#undef M_PI
#undef M_SQRT2
#undef M_SQRT1_2
#undef M_LN2

// Macros, because glibc declares functions of some of these names.
#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __sincosf(x, s, c) sincosf(x, s, c)

static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __frcp_rn(float a) { return 1.0f / a; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __frsqrt_rn(float a) { return 1.0f / sqrtf(a); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float rsqrt(float x) { return rsqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
// In more digits, because erfc multiplies the rounding error of what it is given.
static inline float normcdff(float x) { return 0.5 * erfc(x * -0.70710678118654752); }
static inline double normcdf(double x) { return 0.5L * erfcl(x * -0.70710678118654752440L); }
static inline void sincospi(double x, double* sine, double* cosine) {
    double turn = fmod(x, 2.0) * 3.14159265358979323846;
    *sine = sin(turn);
    *cosine = cos(turn);
}
static inline void sincospif(float x, float* sine, float* cosine) {
    double s, c;
    sincospi(x, &s, &c);
    *sine = (float)s;
    *cosine = (float)c;
}

// CUDA's min and max of two floating-point numbers return the one that is not NaN.
namespace coc {
template <class A, class B>
using Common = std::common_type_t<A, B>;
}
template <class A, class B>
static inline coc::Common<A, B> max(A a, B b) {
    coc::Common<A, B> x = a, y = b;
    return x > y || y != y ? x : y;
}
template <class A, class B>
static inline coc::Common<A, B> min(A a, B b) {
    coc::Common<A, B> x = a, y = b;
    return x < y || y != y ? x : y;
}

// ------------------------------------------------------------------------- conversions
// From floating point to integers CUDA saturates, and NaN becomes 0 (in 64 bits, the sign bit).

namespace coc {
template <class To>
static inline To saturate(double rounded) {
    constexpr double limit = 2.0 * (double)((To)1 << (8 * sizeof(To) - 2 + !std::is_signed_v<To>));
    constexpr To smallest = std::is_signed_v<To> ? (To)1 << (8 * sizeof(To) - 1) : 0;
    if (rounded != rounded) return sizeof(To) == 8 ? (To)1 << 63 : 0;
    if (rounded >= limit) return ~(std::is_signed_v<To> ? (To)1 << (8 * sizeof(To) - 1) : (To)0);
    return rounded < (double)smallest ? smallest : (To)rounded;
}
}  // namespace coc

#define COC_TO_INTEGER(FROM, FROM_NAME, TO, TO_NAME)                                               \
    static inline TO __##FROM_NAME##2##TO_NAME##_rn(FROM x) {                                      \
        return coc::saturate<TO>(nearbyint(x));                                                    \
    }                                                                                              \
    static inline TO __##FROM_NAME##2##TO_NAME##_rz(FROM x) {                                      \
        return coc::saturate<TO>(trunc(x));                                                        \
    }                                                                                              \
    static inline TO __##FROM_NAME##2##TO_NAME##_rd(FROM x) {                                      \
        return coc::saturate<TO>(floor(x));                                                        \
    }                                                                                              \
    static inline TO __##FROM_NAME##2##TO_NAME##_ru(FROM x) { return coc::saturate<TO>(ceil(x)); } \
    static inline FROM __##TO_NAME##2##FROM_NAME##_rn(TO x) { return (FROM)x; }

COC_TO_INTEGER(float, float, int, int)
COC_TO_INTEGER(float, float, unsigned, uint)
COC_TO_INTEGER(float, float, long long, ll)
COC_TO_INTEGER(float, float, unsigned long long, ull)
COC_TO_INTEGER(double, double, int, int)
COC_TO_INTEGER(double, double, unsigned, uint)
COC_TO_INTEGER(double, double, long long, ll)
COC_TO_INTEGER(double, double, unsigned long long, ull)
static inline float __double2float_rn(double x) { return (float)x; }
