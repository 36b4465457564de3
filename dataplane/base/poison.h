/* poison.h - tells AddressSanitizer that memory of ours is free. Nothing in other builds. */
#pragma once
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ON 1
#endif
#endif

#ifdef POISON_ON
#include <sanitizer/asan_interface.h>
static inline void poison(const volatile void *at, size_t size)
{
	__asan_poison_memory_region(at, size);
}
static inline void unpoison(const volatile void *at, size_t size)
{
	__asan_unpoison_memory_region(at, size);
}
#else
static inline void poison(const volatile void *at, size_t size)
{
	(void)at;
	(void)size;
}
static inline void unpoison(const volatile void *at, size_t size)
{
	(void)at;
	(void)size;
}
#endif
