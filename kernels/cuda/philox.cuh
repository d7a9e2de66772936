// Philox4x32-10 (Salmon et al. 2011), with the same bits as nnkit/backends/numpy/philox.py: four random
// words of the counter (place, stream).
__device__ __forceinline__ uint4 philox(unsigned long long place, unsigned long long stream,
                                        unsigned key0, unsigned key1) {
    uint4 c = {(unsigned)place, (unsigned)(place >> 32),
               (unsigned)stream, (unsigned)(stream >> 32)};
    for (int round = 0; round < 10; round++) {
        const unsigned high0 = __umulhi(0xD2511F53u, c.x), low0 = 0xD2511F53u * c.x;
        const unsigned high1 = __umulhi(0xCD9E8D57u, c.z), low1 = 0xCD9E8D57u * c.z;
        c = {high1 ^ c.y ^ key0, low1, high0 ^ c.w ^ key1, low0};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c;
}
