// What GCC's -fsanitize=alignment,bounds,shift,integer-divide-by-zero,return calls when a check
// fails. These stand in for libubsan: they end the launch with an error instead of the process.
// Each receives a record that starts with the place in the source.
#pragma once
#include "scheduler.h"

namespace coc {
struct Place {
    const char* file;
    unsigned line, column;
};
struct TypeName {
    unsigned short kind, info;
    char name[1];
};
struct Misalignment {
    Place place;
    const TypeName* type;
    unsigned char log_alignment, access;
};
}  // namespace coc

extern "C" {
void __ubsan_handle_type_mismatch_v1_abort(void* record, void* address) {
    auto* found = (coc::Misalignment*)record;
    coc::fail("line %u: misaligned address %p for %s, which needs %d bytes", found->place.line,
              address, found->type->name, 1 << found->log_alignment);
}
void __ubsan_handle_out_of_bounds_abort(void* record, void* index) {
    coc::fail("line %u: array index %lld is out of bounds", ((coc::Place*)record)->line,
              (long long)index);
}
void __ubsan_handle_shift_out_of_bounds_abort(void* record, void*, void*) {
    coc::fail("line %u: shift by a negative number or by too many bits",
              ((coc::Place*)record)->line);
}
void __ubsan_handle_divrem_overflow_abort(void* record, void*, void*) {
    coc::fail("line %u: integer division by zero", ((coc::Place*)record)->line);
}
void __ubsan_handle_missing_return(void* record) {
    coc::fail("line %u: a function returns no value", ((coc::Place*)record)->line);
}
}

#undef assert
#define assert(condition)                                                                          \
    ((condition) ? (void)0 : coc::fail("line %d: assertion %s failed", __LINE__, #condition))
#define __trap() coc::fail("line %d: __trap()", __LINE__)
