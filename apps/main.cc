#include "apps/program.h"

int main(int argc, char** argv) { return jack::app::run_program(argc, argv); }
