// Catch2, whichever of its versions 2 and 3 is installed.
#ifndef ERLPY_TESTS_CATCH_HPP
#define ERLPY_TESTS_CATCH_HPP

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#endif
