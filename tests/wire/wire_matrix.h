/* wire_matrix.h - every state against every kind of segment, as scripts made from a table. */
#pragma once
#include <stdio.h>

/* Calls add(name, text) for each; the text lives as long as the program. */
void matrix_make(void (*add)(const char *name, char *text));
/* The table, for people; returns how many of its cells are empty. */
unsigned matrix_print(FILE *to);
