// What a program outside the project builds against the installed library.
#include <iostream>

#include <jack_engine/version.h>

int main() { std::cout << jack::version() << '\n'; }
