// The largest, and the sum, of each window of an image, and their gradients.
#include "columns.cuh"
#include "windows.cuh"

// y = f(largest + bias), and which element of the window it is: the first of equals, or the first
// NaN. f is ReLU or the identity; there may be no bias.
template <class Place>
__device__ __forceinline__ void largest(const STORE* x, const STORE* bias, int relu, STORE* y,
                                        Place* place, long long places, int channels,
                                        const Window& window) {
    each_pack_of_rows(places, channels, [&](long long row, int channel) {
        const Point from = window.place(row);
        Pack best = {}, which = {};
        bool begun = false;
        for (int element = 0; element < window.elements(); element++) {
            const int p = element / window.across.size, q = element - p * window.across.size;
            const long long pixel = window.seen(from, p, q), begin = pixel * channels;
            if (pixel < 0) continue;
            const Pack here = load(x, begin + channel, begin + channels);
            for (int k = 0; k < WIDTH; k++) {
                const REAL value = here.v[k];
                const bool first_nan = value != value && best.v[k] == best.v[k];
                if (!begun || value > best.v[k] || first_nan) {
                    best.v[k] = value;
                    which.v[k] = element;
                }
            }
            begun = true;
        }
        if (bias) {
            const Pack b = load(bias, channel, channels);
            for (int k = 0; k < WIDTH; k++) best.v[k] += b.v[k];
        }
        if (relu)
            for (int k = 0; k < WIDTH; k++)
                if (best.v[k] < 0) best.v[k] = 0;
        store(y, row * channels + channel, (row + 1) * channels, best);
        store(place, row * channels + channel, (row + 1) * channels, which);
    });
}

// dx = at each pixel the sum of the dy whose place it is; of those alone where y > 0, if y is given
template <class Place>
__device__ __forceinline__ void to_largest(const STORE* dy, const Place* place, const STORE* y,
                                           STORE* dx, long long pixels, int channels,
                                           const Window& window) {
    each_pack_of_rows(pixels, channels, [&](long long pixel, int channel) {
        Pack sum = {};
        window.each_that_sees(window.pixel(pixel), [&](long long row, int element) {
            const long long at = row * channels + channel, end = (row + 1) * channels;
            const Pack which = load(place, at, end);
            Pack d = load(dy, at, end);
            for (int k = 0; k < WIDTH; k++)
                if (which.v[k] != element) d.v[k] = 0;
            if (y) {
                const Pack passes = load(y, at, end);
                for (int k = 0; k < WIDTH; k++)
                    if (!(passes.v[k] > 0)) d.v[k] = 0;
            }
            for (int k = 0; k < WIDTH; k++) sum.v[k] += d.v[k];
        });
        store(dx, pixel * channels + channel, (pixel + 1) * channels, sum);
    });
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
max_pool(const STORE* x, const STORE* bias, int relu, STORE* y, unsigned char* place,
         long long places, int channels, AXES) {
    largest(x, bias, relu, y, place, places, channels, WINDOW);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
max_pool_backward(const STORE* dy, const unsigned char* place, const STORE* y, STORE* dx,
                  long long pixels, int channels, AXES) {
    to_largest(dy, place, y, dx, pixels, channels, WINDOW);
}

// The same where a window has more elements than a byte can tell apart
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
max_pool_int(const STORE* x, const STORE* bias, int relu, STORE* y, int* place, long long places,
             int channels, AXES) {
    largest(x, bias, relu, y, place, places, channels, WINDOW);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
max_pool_backward_int(const STORE* dy, const int* place, const STORE* y, STORE* dx,
                      long long pixels, int channels, AXES) {
    to_largest(dy, place, y, dx, pixels, channels, WINDOW);
}

// y = sum of each window / divisor
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
average_pool(const STORE* x, STORE* y, REAL divisor, long long places, int channels, AXES) {
    const Window window = WINDOW;
    each_pack_of_rows(places, channels, [&](long long row, int channel) {
        const Point from = window.place(row);
        Pack sum = {};
        for (int p = 0; p < window.down.size; p++)
            for (int q = 0; q < window.across.size; q++) {
                const long long pixel = window.seen(from, p, q), begin = pixel * channels;
                if (pixel < 0) continue;
                const Pack here = load(x, begin + channel, begin + channels);
                for (int k = 0; k < WIDTH; k++) sum.v[k] += here.v[k];
            }
        for (int k = 0; k < WIDTH; k++) sum.v[k] /= divisor;
        store(y, row * channels + channel, (row + 1) * channels, sum);
    });
}

// The same, of a large window: the threads above each other in a block share it.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
average_pool_large(const STORE* x, STORE* y, REAL divisor, long long places, int channels, AXES) {
    const Window window = WINDOW;
    const int channel = (blockIdx.x * blockDim.x + threadIdx.x) * WIDTH;
    for (long long row = blockIdx.y; row < places; row += gridDim.y) {
        const Point from = window.place(row);
        REAL sum[WIDTH] = {};
        for (int element = threadIdx.y; element < window.elements(); element += blockDim.y) {
            const int p = element / window.across.size, q = element - p * window.across.size;
            const long long pixel = window.seen(from, p, q), begin = pixel * channels;
            if (pixel < 0 || channel >= channels) continue;
            const Pack here = load(x, begin + channel, begin + channels);
            for (int k = 0; k < WIDTH; k++) sum[k] += here.v[k];
        }
        add_rows_of_block(sum);
        Pack mean;
        for (int k = 0; k < WIDTH; k++) mean.v[k] = sum[k] / divisor;
        if (threadIdx.y == 0 && channel < channels)
            store(y, row * channels + channel, (row + 1) * channels, mean);
        __syncthreads();  // before the next place's sums overwrite these
    }
}

// dx = the sum of dy / divisor of the windows that a pixel is in
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
average_pool_backward(const STORE* dy, STORE* dx, REAL divisor, long long pixels, int channels,
                      AXES) {
    const Window window = WINDOW;
    each_pack_of_rows(pixels, channels, [&](long long pixel, int channel) {
        Pack sum = {};
        window.each_that_sees(window.pixel(pixel), [&](long long row, int) {
            const Pack d = load(dy, row * channels + channel, (row + 1) * channels);
            for (int k = 0; k < WIDTH; k++) sum.v[k] += d.v[k] / divisor;
        });
        store(dx, pixel * channels + channel, (pixel + 1) * channels, sum);
    });
}
