/* Loaded into a mongod, makes it resolve every name under .invalid to 127.0.0.1. Such names exist for
   nobody else, so a replica set configured with them can only be reached through a member map. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

typedef int resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **found) {
    resolve *real = (resolve *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *end = name ? strrchr(name, '.') : NULL;
    return real(end && strcmp(end, ".invalid") == 0 ? "127.0.0.1" : name, port, hints, found);
}
