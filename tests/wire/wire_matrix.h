/* wire_matrix.h - every state against every kind of segment, as scripts made from a table. */
#pragma once

/* Calls add(name, text) for each; the text lives as long as the program. */
void matrix_make(void (*add)(const char *name, char *text));
