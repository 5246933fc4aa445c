/* How functions are compiled: for several widths of vectors where the loader can choose. */
#ifndef SPIKEPORT_CLONES_H
#define SPIKEPORT_CLONES_H

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    __GNUC__ >= 12 && !defined(SPIKEPORT_ONE_CLONE)
#define CLONED \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) static
#else
#define CLONED static __attribute__((noinline)) /* inlined, its loops are not vectorised */
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "dense rows are read as little-endian words; NumPy runs instead"
#endif
#define INLINE static inline __attribute__((always_inline))

#endif
