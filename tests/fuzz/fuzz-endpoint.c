/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a URI and as a version. */

#include <string.h>

#include "mysql/endpoint.h"
#include "mysql/flavor.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
        g_autofree char *text = g_strndup((const char *) data, size);
        g_autoptr(GError) error = NULL;
        g_autoptr(Endpoint) endpoint = endpoint_parse("source", text, &error);
        g_assert_true((endpoint == NULL) == (error != NULL));
        if (endpoint) {
                g_autoptr(Endpoint) copy = endpoint_copy(endpoint);
                g_autofree char *a = endpoint_label(endpoint), *b = endpoint_label(copy);
                g_assert_cmpstr(a, ==, b);
                g_assert_true((endpoint->hosts->len == 0) == (endpoint->socket != NULL));
        }
        Flavor flavor = flavor_parse(text);
        g_autofree char *name = flavor_to_string(&flavor);
        g_assert_nonnull(name);
        return 0;
}
