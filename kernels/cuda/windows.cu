// Images as matrices whose rows are what the places of an output see, so that a convolution is a
// product (im2col; Chellapilla et al. 2006), and back (col2im).
//
// A row has for each group of channels the elements of the window, and of each the group's channels.
// Rows begin `pitch` apart, a multiple of WIDTH, and end with zeros.
#include "windows.cuh"

// Where a number of a row comes from: the element of the window, and the channel.
struct Source {
    int row, column, channel;
};
__device__ __forceinline__ Source source(int number, int each, const Window& window) {
    const int element = number / each % window.elements();
    return {element / window.across.size, element % window.across.size,
            number / each / window.elements() * each + number % each};
}

// rows[r] = what place r sees
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
unfold(const STORE* x, STORE* rows, long long places, int channels, int groups, int pitch, AXES) {
    const Window window = WINDOW;
    const int each = channels / groups, columns = channels * window.elements();
    const bool whole = each % WIDTH == 0;  // then a pack is of one element of the window
    each_pack_of_rows(places, pitch, [&](long long row, int column) {
        const Point place = window.place(row);
        Pack pack = {};
        if (whole) {
            const Source from = source(column, each, window);
            const long long pixel = window.seen(place, from.row, from.column);
            const long long begin = pixel * channels;
            if (pixel >= 0) pack = load(x, begin + from.channel, begin + channels);
        } else {
            for (int k = 0; k < WIDTH; k++) {
                if (column + k >= columns) continue;
                const Source from = source(column + k, each, window);
                const long long pixel = window.seen(place, from.row, from.column);
                if (pixel >= 0) pack.v[k] = (REAL)x[pixel * channels + from.channel];
            }
        }
        store(rows, row * pitch + column, (row + 1) * pitch, pack);
    });
}

// dx = for each pixel the sum of what the rows have of it
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
fold(const STORE* rows, STORE* dx, long long pixels, int channels, int groups, int pitch, AXES) {
    const Window window = WINDOW;
    const int each = channels / groups, of_group = each * window.elements();
    const bool whole = each % WIDTH == 0;
    each_pack_of_rows(pixels, channels, [&](long long pixel, int channel) {
        Pack sum = {};
        int begin[WIDTH];  // where the channels are in a row
        for (int k = 0; k < WIDTH; k++)
            begin[k] = (channel + k) / each * of_group + (channel + k) % each;
        window.each_that_sees(window.pixel(pixel), [&](long long place, int element) {
            const STORE* row = rows + place * pitch + element * each;
            if (whole) {
                const Pack part = load(row, begin[0], pitch);
                for (int k = 0; k < WIDTH; k++) sum.v[k] += part.v[k];
            } else {
                for (int k = 0; k < WIDTH; k++)
                    if (channel + k < channels) sum.v[k] += (REAL)row[begin[k]];
            }
        });
        store(dx, pixel * channels + channel, (pixel + 1) * channels, sum);
    });
}
