/* ZooKeeper's C client at an ensemble: `client HOST:PORT,HOST:PORT,...`. Every request that applications make, and
 * what the library promises when the server it is connected to dies: the session, its watches and its ephemerals go on.
 *
 * Lines to standard output: `kill HOST:PORT` (whoever started us kills that server, and answers with a line),
 * at the end `ok WHAT`, or `FAILED WHY`. */
#define THREADED
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

/* Nothing that we wait for takes longer, or it does not come. */
#define PATIENCE_MS 30000
#define SESSION_MS 20000

static int steps;

static void fail(const char *form, ...) {
    va_list arguments;
    va_start(arguments, form);
    printf("FAILED after %d steps: ", steps);
    vprintf(form, arguments);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

static void expect(int line, const char *what, int got, int expected) {
    if (got != expected)
        fail("line %d: %s: %s (%d), expected %s (%d)", line, what, zerror(got), got, zerror(expected), expected);
    steps++;
}
#define OK(call) expect(__LINE__, #call, (call), ZOK)
#define GIVES(call, code) expect(__LINE__, #call, (call), (code))

static void holds(int line, const char *what, int truth) {
    if (!truth)
        fail("line %d: not so: %s", line, what);
    steps++;
}
#define HOLDS(truth) holds(__LINE__, #truth, (truth))

static void pause_ms(int ms) {
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

/* What watchers were told, in order. */
static struct {
    pthread_mutex_t lock;
    int count;
    struct { int type; char path[64]; } events[64];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void watch(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh, (void)state, (void)context;
    if (type == ZOO_SESSION_EVENT)
        return;
    pthread_mutex_lock(&seen.lock);
    if (seen.count < 64) {
        seen.events[seen.count].type = type;
        snprintf(seen.events[seen.count].path, sizeof seen.events[0].path, "%s", path);
        seen.count++;
    }
    pthread_mutex_unlock(&seen.lock);
}

static void session(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh, (void)type, (void)state, (void)path, (void)context;
}

/* One event of this kind comes, and is taken out of what was seen. */
static void told(int line, int type, const char *path) {
    for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
        pthread_mutex_lock(&seen.lock);
        for (int n = 0; n < seen.count; n++)
            if (seen.events[n].type == type && strcmp(seen.events[n].path, path) == 0) {
                seen.events[n] = seen.events[--seen.count];
                pthread_mutex_unlock(&seen.lock);
                steps++;
                return;
            }
        pthread_mutex_unlock(&seen.lock);
        pause_ms(10);
    }
    fail("line %d: no event of type %d for %s", line, type, path);
}
#define TOLD(type, path) told(__LINE__, (type), (path))

static void connected(int line, zhandle_t *zh) {
    for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
        if (zoo_state(zh) == ZOO_CONNECTED_STATE) {
            steps++;
            return;
        }
        if (is_unrecoverable(zh))
            fail("line %d: the session is gone: state %d", line, zoo_state(zh));
        pause_ms(10);
    }
    fail("line %d: not connected: state %d", line, zoo_state(zh));
}
#define CONNECTED(zh) connected(__LINE__, (zh))

static zhandle_t *open_session(const char *hosts) {
    zhandle_t *zh = zookeeper_init(hosts, session, SESSION_MS, NULL, NULL, 0);
    if (zh == NULL)
        fail("zookeeper_init: %s", strerror(errno));
    CONNECTED(zh);
    return zh;
}

/* Completions of asynchronous requests, one at a time. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int done, code;
} answer = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void answered(int code) {
    pthread_mutex_lock(&answer.lock);
    answer.done = 1;
    answer.code = code;
    pthread_cond_signal(&answer.ended);
    pthread_mutex_unlock(&answer.lock);
}

static void answered_plainly(int code, const void *data) {
    (void)data;
    answered(code);
}

static void answered_with_text(int code, const char *text, const void *data) {
    (void)text, (void)data;
    answered(code);
}

static int completed(int asked) {
    if (asked != ZOK)
        return asked;
    pthread_mutex_lock(&answer.lock);
    while (!answer.done)
        pthread_cond_wait(&answer.ended, &answer.lock);
    answer.done = 0;
    int code = answer.code;
    pthread_mutex_unlock(&answer.lock);
    return code;
}

static void nodes(zhandle_t *zh) {
    char path[64], data[64];
    struct Stat stat;
    int length = sizeof data;
    OK(zoo_create2(zh, "/c", "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path, &stat));
    HOLDS(strcmp(path, "/c") == 0 && stat.version == 0 && stat.dataLength == 3 && stat.czxid == stat.mzxid);
    GIVES(zoo_create(zh, "/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNODEEXISTS);
    GIVES(zoo_create(zh, "/no/parent", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNONODE);
    OK(zoo_get(zh, "/c", 0, data, &length, &stat));
    HOLDS(length == 3 && memcmp(data, "one", 3) == 0);
    OK(zoo_set2(zh, "/c", "two!", 4, 0, &stat));
    HOLDS(stat.version == 1 && stat.dataLength == 4 && stat.mzxid > stat.czxid);
    GIVES(zoo_set(zh, "/c", "x", 1, 0), ZBADVERSION);
    /* No data is not the same as empty data. */
    OK(zoo_create(zh, "/c/null", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    length = sizeof data;
    OK(zoo_get(zh, "/c/null", 0, data, &length, &stat));
    HOLDS(length == -1);
    OK(zoo_create(zh, "/c/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, path, sizeof path));
    HOLDS(strcmp(path, "/c/s-0000000001") == 0);
    OK(zoo_create(zh, "/c/e-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL | ZOO_SEQUENCE, path, sizeof path));
    HOLDS(strcmp(path, "/c/e-0000000002") == 0);
    OK(zoo_exists(zh, path, 0, &stat));
    HOLDS(stat.ephemeralOwner == zoo_client_id(zh)->client_id);
    GIVES(zoo_create(zh, "/c/e-0000000002/x", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNOCHILDRENFOREPHEMERALS);
    GIVES(zoo_delete(zh, "/c", -1), ZNOTEMPTY);
    GIVES(zoo_delete(zh, "/c/s-0000000001", 7), ZBADVERSION);
    OK(zoo_delete(zh, "/c/s-0000000001", 0));
    OK(zoo_create(zh, "/c/container", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, NULL, 0));
    OK(zoo_create_ttl(zh, "/c/ttl", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 600000, NULL, 0));
    struct String_vector children;
    OK(zoo_get_children2(zh, "/c", 0, &children, &stat));
    HOLDS(children.count == 4 && stat.numChildren == 4);
    deallocate_String_vector(&children);
    OK(completed(zoo_async(zh, "/c", answered_with_text, NULL)));
}

static void watches(zhandle_t *zh) {
    struct Stat stat;
    char data[64];
    int length = sizeof data;
    GIVES(zoo_wexists(zh, "/c/w", watch, NULL, &stat), ZNONODE);
    OK(zoo_create(zh, "/c/w", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    TOLD(ZOO_CREATED_EVENT, "/c/w");
    OK(zoo_wget(zh, "/c/w", watch, NULL, data, &length, &stat));
    OK(zoo_set(zh, "/c/w", "2", 1, -1));
    TOLD(ZOO_CHANGED_EVENT, "/c/w");
    struct String_vector children;
    OK(zoo_wget_children(zh, "/c/w", watch, NULL, &children));
    HOLDS(children.count == 0);
    OK(zoo_create(zh, "/c/w/child", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    TOLD(ZOO_CHILD_EVENT, "/c/w");
    OK(zoo_wexists(zh, "/c/w/child", watch, NULL, &stat));
    OK(zoo_delete(zh, "/c/w/child", -1));
    TOLD(ZOO_DELETED_EVENT, "/c/w/child");
    /* One that is taken back is told of nothing; one that was told is spent. */
    OK(zoo_wexists(zh, "/c/w", watch, NULL, &stat));
    OK(zoo_remove_watches(zh, "/c/w", ZWATCHTYPE_DATA, watch, NULL, 0));
    GIVES(zoo_remove_watches(zh, "/c/w", ZWATCHTYPE_DATA, watch, NULL, 0), ZNOWATCHER);
    OK(zoo_set(zh, "/c/w", "3", 1, -1));
    OK(completed(zoo_async(zh, "/c", answered_with_text, NULL)));
    HOLDS(seen.count == 0);
}

static void multi(zhandle_t *zh) {
    char path[64];
    struct Stat stat;
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    zoo_create_op_init(&ops[0], "/c/m-", "m", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, path, sizeof path);
    zoo_set_op_init(&ops[1], "/c/w", "by multi", 8, -1, &stat);
    zoo_check_op_init(&ops[2], "/c", 1);
    zoo_delete_op_init(&ops[3], "/c/null", -1);
    OK(zoo_multi(zh, 4, ops, results));
    for (int n = 0; n < 4; n++)
        HOLDS(results[n].err == ZOK);
    HOLDS(strncmp(path, "/c/m-", 5) == 0 && stat.dataLength == 8);
    GIVES(zoo_exists(zh, "/c/null", 0, NULL), ZNONODE);
    /* One fails: none is done, and each tells its part. */
    zoo_set_op_init(&ops[0], "/c/w", "undone", 6, -1, &stat);
    zoo_check_op_init(&ops[1], "/c", 77);
    zoo_delete_op_init(&ops[2], "/c/w", -1);
    GIVES(zoo_multi(zh, 3, ops, results), ZBADVERSION);
    HOLDS(results[0].err == ZOK && results[1].err == ZBADVERSION && results[2].err == ZRUNTIMEINCONSISTENCY);
    OK(zoo_exists(zh, "/c/w", 0, &stat));
    HOLDS(stat.dataLength == 8);
}

static void rights(zhandle_t *zh, zhandle_t *other) {
    char data[64];
    int length = sizeof data;
    struct Stat stat;
    struct ACL_vector acl;
    OK(completed(zoo_add_auth(zh, "digest", "me:secret", 9, answered_plainly, NULL)));
    OK(zoo_create(zh, "/c/mine", "v", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0));
    OK(zoo_get_acl(zh, "/c/mine", &acl, &stat));
    HOLDS(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL);
    HOLDS(strcmp(acl.data[0].id.scheme, "digest") == 0 && strncmp(acl.data[0].id.id, "me:", 3) == 0);
    deallocate_ACL_vector(&acl);
    GIVES(zoo_get(other, "/c/mine", 0, data, &length, &stat), ZNOAUTH);
    GIVES(zoo_set(other, "/c/mine", "x", 1, -1), ZNOAUTH);
    OK(completed(zoo_add_auth(other, "digest", "me:secret", 9, answered_plainly, NULL)));
    length = sizeof data;
    OK(zoo_get(other, "/c/mine", 0, data, &length, &stat));
    OK(zoo_set_acl(other, "/c/mine", 0, &ZOO_READ_ACL_UNSAFE));
    GIVES(zoo_set(zh, "/c/mine", "x", 1, -1), ZNOAUTH);
    GIVES(zoo_set_acl(zh, "/c/mine", 1, &ZOO_OPEN_ACL_UNSAFE), ZNOAUTH);
    GIVES(zoo_create(zh, "/c/bad", "", 0, &(struct ACL_vector){0, NULL}, 0, NULL, 0), ZINVALIDACL);
}

/* The server that we are connected to is killed: at another one the session, its ephemeral and its watches go on. */
static void moves(zhandle_t *zh, zhandle_t *other) {
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    struct Stat stat;
    struct String_vector children;
    char line[64], data[64];
    int length = sizeof data;
    const int64_t id = zoo_client_id(zh)->client_id;
    OK(zoo_create(zh, "/c/alive", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0));
    GIVES(zoo_wexists(zh, "/c/later", watch, NULL, &stat), ZNONODE);
    OK(zoo_wget(zh, "/c/w", watch, NULL, data, &length, &stat));
    OK(zoo_wget_children(zh, "/c/ttl", watch, NULL, &children));
    deallocate_String_vector(&children);
    HOLDS(zookeeper_get_connected_host(zh, (struct sockaddr *)&peer, &size) != NULL);
    printf("kill 127.0.0.1:%d\n", ntohs(peer.sin_port));
    fflush(stdout);
    HOLDS(fgets(line, sizeof line, stdin) != NULL);
    /* Until it is noticed the state may still be the old one. */
    int code;
    for (int waited = 0; (code = zoo_set(zh, "/c", "moved", 5, -1)) != ZOK && waited < PATIENCE_MS; waited += 50) {
        HOLDS(code == ZCONNECTIONLOSS || code == ZOPERATIONTIMEOUT);
        pause_ms(50);
    }
    OK(code);
    CONNECTED(zh);
    HOLDS(zoo_client_id(zh)->client_id == id);
    OK(zoo_exists(zh, "/c/alive", 0, &stat));
    HOLDS(stat.ephemeralOwner == id);
    /* Its rights went with it. */
    OK(zoo_create(zh, "/c/mine-too", "v", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0));
    HOLDS(seen.count == 0);
    for (int waited = 0; (code = zoo_create(other, "/c/later", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0)) != ZOK
                         && code != ZNODEEXISTS && waited < PATIENCE_MS;
         waited += 50)
        pause_ms(50);
    TOLD(ZOO_CREATED_EVENT, "/c/later");
    OK(zoo_set(other, "/c/w", "seen", 4, -1));
    TOLD(ZOO_CHANGED_EVENT, "/c/w");
    OK(zoo_create(other, "/c/ttl/x", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    TOLD(ZOO_CHILD_EVENT, "/c/ttl");
}

int main(int count, char **arguments) {
    if (count != 2)
        fail("usage: client HOSTS");
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zhandle_t *zh = open_session(arguments[1]);
    zhandle_t *other = open_session(arguments[1]);
    nodes(zh);
    watches(zh);
    multi(zh);
    rights(zh, other);
    moves(zh, other);
    /* Closed: its ephemerals are gone at once. */
    OK(zookeeper_close(zh));
    OK(completed(zoo_async(other, "/c", answered_with_text, NULL)));
    GIVES(zoo_exists(other, "/c/alive", 0, NULL), ZNONODE);
    OK(zookeeper_close(other));
    printf("ok %d steps\n", steps);
    return 0;
}
