// The built-in vector types of CUDA, with CUDA's sizes and alignments.
#pragma once

#define COC_VECTOR_TYPES(T, PREFIX, ALIGN2, ALIGN4)                                                \
    struct PREFIX##1 { T x; };                                                                     \
    struct alignas(ALIGN2) PREFIX##2 { T x, y; };                                                  \
    struct PREFIX##3 { T x, y, z; };                                                               \
    struct alignas(ALIGN4) PREFIX##4 { T x, y, z, w; };                                            \
    static inline PREFIX##1 make_##PREFIX##1(T x) { return {x}; }                                  \
    static inline PREFIX##2 make_##PREFIX##2(T x, T y) { return {x, y}; }                          \
    static inline PREFIX##3 make_##PREFIX##3(T x, T y, T z) { return {x, y, z}; }                  \
    static inline PREFIX##4 make_##PREFIX##4(T x, T y, T z, T w) { return {x, y, z, w}; }

COC_VECTOR_TYPES(signed char, char, 2, 4)
COC_VECTOR_TYPES(unsigned char, uchar, 2, 4)
COC_VECTOR_TYPES(short, short, 4, 8)
COC_VECTOR_TYPES(unsigned short, ushort, 4, 8)
COC_VECTOR_TYPES(int, int, 8, 16)
COC_VECTOR_TYPES(unsigned, uint, 8, 16)
COC_VECTOR_TYPES(long long, longlong, 16, 16)
COC_VECTOR_TYPES(unsigned long long, ulonglong, 16, 16)
COC_VECTOR_TYPES(float, float, 8, 16)
COC_VECTOR_TYPES(double, double, 16, 16)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
