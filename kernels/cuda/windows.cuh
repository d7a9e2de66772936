// Windows on images (n, height, width, channels): which pixels a place of the output sees, and
// which places see a pixel. A window is that of nnkit/backends/contract.py.
#include "common.cuh"

// The least number on a multiprocessor, which leaves a thread 64 registers: told of none, the
// compiler saves so many that it spills.
constexpr int BLOCKS = 4;

// What numbers are divided by: `reciprocal` is 2^64 / by, rounded up, but 0 for 1. Exact as long as
// number * by is below 2^64. A division of 64 bits would be a call, around which registers spill.
struct Divisor {
    int by;
    unsigned long long reciprocal;

    __device__ __forceinline__ long long quotient(long long number) const {
        return reciprocal ? (long long)__umul64hi(number, reciprocal) : number;
    }
};

// One axis: of an image, of the places of the output, and of the window.
struct Axis {
    int length, places, size, stride, padding, dilation;
    unsigned long long per_length, per_place;

    // The pixel that an element of the window sees from a place, which may be outside of the image.
    __device__ __forceinline__ int pixel(int place, int element) const {
        return place * stride - padding + element * dilation;
    }
    __device__ __forceinline__ bool has(int pixel) const {
        return (unsigned)pixel < (unsigned)length;
    }
    // f(place, element) for each place that sees a pixel, by which element; the elements go up.
    template <class F>
    __device__ __forceinline__ void each_that_sees(int pixel, F f) const {
        const int last = (pixel + padding) / stride, reach = (size - 1) * dilation;
        for (int place = last < places ? last : places - 1; place >= 0; place--) {
            const int distance = pixel + padding - place * stride;
            if (distance > reach) break;
            const int element = dilation == 1 ? distance : distance / dilation;
            if (element * dilation == distance) f(place, element);
        }
    }
};

// The two axes among a kernel's parameters, and in it.
#define AXIS(NAME)                                                                                \
    int NAME##_length, int NAME##_places, int NAME##_size, int NAME##_stride, int NAME##_padding, \
        int NAME##_dilation, unsigned long long NAME##_per_length,                                \
        unsigned long long NAME##_per_place
#define AXES AXIS(down), AXIS(across)
#define AXIS_OF(NAME)                                                                    \
    {NAME##_length,  NAME##_places,   NAME##_size,       NAME##_stride,                  \
     NAME##_padding, NAME##_dilation, NAME##_per_length, NAME##_per_place}
#define WINDOW {AXIS_OF(down), AXIS_OF(across)}

// A point of a grid that each of the images has: a pixel, or a place of the output.
struct Point {
    long long image;
    int row, column;
};
__device__ __forceinline__ Point point(long long number, Divisor height, Divisor width) {
    const long long line = width.quotient(number), image = height.quotient(line);
    return {image, (int)(line - image * height.by), (int)(number - line * width.by)};
}

struct Window {
    Axis down, across;

    __device__ __forceinline__ int elements() const { return down.size * across.size; }
    __device__ __forceinline__ Point pixel(long long number) const {
        return point(number, {down.length, down.per_length}, {across.length, across.per_length});
    }
    __device__ __forceinline__ Point place(long long number) const {
        return point(number, {down.places, down.per_place}, {across.places, across.per_place});
    }
    // The number of a pixel among those of all images; -1 outside of its image
    __device__ __forceinline__ long long number(long long image, int row, int column) const {
        if (!down.has(row) || !across.has(column)) return -1;
        return (image * down.length + row) * across.length + column;
    }
    // The number of the pixel that an element of the window sees from a place; -1 outside
    __device__ __forceinline__ long long seen(const Point& from, int row, int column) const {
        return number(from.image, down.pixel(from.row, row), across.pixel(from.column, column));
    }
    // f(place, element) for each place that sees a pixel, their numbers; the elements go up.
    template <class F>
    __device__ __forceinline__ void each_that_sees(const Point& at, F f) const {
        down.each_that_sees(at.row, [&](int row, int p) {
            const long long line = at.image * down.places + row;
            across.each_that_sees(at.column, [&](int column, int q) {
                f(line * across.places + column, p * across.size + q);
            });
        });
    }
};

// f(row, column) for each pack of a matrix that falls to this thread. A block takes blockDim.y rows
// and blockDim.x packs at a time.
template <class F>
__device__ __forceinline__ void each_pack_of_rows(long long rows, int columns, F f) {
    const int first_column = (blockIdx.x * blockDim.x + threadIdx.x) * WIDTH;
    const long long first_row = blockIdx.y * (long long)blockDim.y + threadIdx.y;
    for (int column = first_column; column < columns; column += gridDim.x * blockDim.x * WIDTH)
        for (long long row = first_row; row < rows; row += gridDim.y * (long long)blockDim.y)
            f(row, column);
}
