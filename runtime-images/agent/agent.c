/* The agent for container images: CPython and everything the agent imports, as one static program.
 *
 * It runs in an image of which nothing is known, so it needs nothing of it: no loader, no library, no file but itself.
 * Being static it ignores LD_PRELOAD and LD_LIBRARY_PATH, being isolated it ignores PYTHON*: an image may set them for
 * its function. The Python modules are a zip archive at the end of this very file (bundle.py puts it there).
 *
 *     agent              run as the agent
 *     agent DIRECTORY    put a copy of this program there as DIRECTORY/agent, and end
 */

#define _GNU_SOURCE
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static const char SELF[] = "/proc/self/exe";

#ifdef WORKSHOP /* the same interpreter while the bundle is made: runs a script with the whole standard library */
#define LIBRARY L"" WORKSHOP
#else
#define LIBRARY L"/proc/self/exe"
#endif

static int fail(const char *what)
{
    dprintf(2, "lambent: %s: %s\n", what, strerror(errno));
    return 1;
}

#ifndef WORKSHOP
/* Whole or not at all: a copy that was cut off must never be run. */
static int install(const char *directory)
{
    struct stat size;
    int from = open(SELF, O_RDONLY | O_CLOEXEC);
    if (from < 0 || fstat(from, &size) < 0)
        return fail(SELF);
    if (chdir(directory) < 0)
        return fail(directory);
    int to = open("agent.part", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0555);
    if (to < 0)
        return fail(directory);
    for (off_t done = 0; done < size.st_size;) {
        ssize_t more = sendfile(to, from, NULL, size.st_size - done);
        if (more <= 0)
            return fail(directory);
        done += more;
    }
    if (close(to) < 0 || rename("agent.part", "agent") < 0)
        return fail(directory);
    return 0;
}
#endif

/* What Python offers through ctypes or a shared object only, and neither can be linked statically. */
static PyObject *kernel_prctl(PyObject *module, PyObject *arguments)
{
    int option;
    unsigned long value;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "ik", &option, &value))
        return NULL;
    int answer = prctl(option, value, 0, 0, 0);
    if (answer < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromLong(answer);
}

static PyObject *kernel_hear_only_of_ends(PyObject *module, PyObject *nothing)
{
    struct sigaction action;
    (void)module;
    (void)nothing;
    if (sigaction(SIGCHLD, NULL, &action) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    action.sa_flags |= SA_NOCLDSTOP;
    if (sigaction(SIGCHLD, &action, NULL) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *kernel_limit(PyObject *module, PyObject *arguments)
{
    int processes;
    unsigned long most;
    struct rlimit limit;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "pk", &processes, &most))
        return NULL;
    int which = processes ? RLIMIT_NPROC : RLIMIT_NOFILE;
    if (getrlimit(which, &limit) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (limit.rlim_max > most) /* RLIM_INFINITY is the largest of all */
        limit.rlim_max = most;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(which, &limit) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef kernel_methods[] = {
    {"prctl", kernel_prctl, METH_VARARGS, "prctl(option, value); raises OSError"},
    {"hear_only_of_ends", kernel_hear_only_of_ends, METH_NOARGS, "SIGCHLD tells of ends only; raises OSError"},
    {"limit", kernel_limit, METH_VARARGS, "limit(processes, most): of processes, or of files; raises OSError"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef kernel_module = {PyModuleDef_HEAD_INIT, "_lambent_kernel", NULL, -1, kernel_methods,
                                           NULL, NULL, NULL, NULL};

static PyObject *init_kernel(void)
{
    return PyModule_Create(&kernel_module);
}

/* What the standard library's contextvars re-exports; Debian has it as a shared object only. */
static PyObject *copy_context(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return PyContext_CopyCurrent();
}

static PyMethodDef context_methods[] = {
    {"copy_context", copy_context, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef context_module = {PyModuleDef_HEAD_INIT, "_contextvars", NULL, -1, context_methods,
                                            NULL, NULL, NULL, NULL};

static PyObject *init_contextvars(void)
{
    PyObject *module = PyModule_Create(&context_module);
    if (module == NULL)
        return NULL;
    if (PyModule_AddType(module, &PyContext_Type) < 0 || PyModule_AddType(module, &PyContextVar_Type) < 0 ||
        PyModule_AddType(module, &PyContextToken_Type) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}

/* The modules of C code. This table takes the place of libpython's own, so what is not in it is not linked. */
#define MODULES(M)                                                                                                     \
    M(_abc) M(_blake2) M(_codecs) M(_collections) M(_functools) M(_heapq) M(_io) M(_locale) M(_md5) M(_opcode)         \
    M(_operator) M(_posixsubprocess) M(_sha1) M(_sha256) M(_sha3) M(_sha512) M(_signal) M(_socket) M(_sre) M(_stat)    \
    M(_struct) M(_thread) M(_weakref) M(array) M(atexit) M(binascii) M(errno) M(fcntl) M(itertools) M(math) M(posix)   \
    M(pwd) M(grp) M(select) M(time) M(zlib) M(_ast) M(_tokenize) M(_imp) M(gc) M(_string)

#define DECLARE(name) extern PyObject *PyInit_##name(void);
#define ENTRY(name) {#name, PyInit_##name},
MODULES(DECLARE)
extern PyObject *PyMarshal_Init(void);
extern PyObject *_PyWarnings_Init(void);

struct _inittab _PyImport_Inittab[] = {
    MODULES(ENTRY)
    {"marshal", PyMarshal_Init},
    {"_warnings", _PyWarnings_Init},
    {"_lambent_kernel", init_kernel},
    {"_contextvars", init_contextvars},
    {"builtins", NULL},
    {"sys", NULL},
    {NULL, NULL},
};

static PyStatus configure(PyConfig *config, int count, char **arguments)
{
    PyStatus status;
    config->install_signal_handlers = 1; /* SIGPIPE is an error to handle, not an end */
    config->site_import = 0;
    config->write_bytecode = 0;
    config->module_search_paths_set = 1;
    status = PyWideStringList_Append(&config->module_search_paths, LIBRARY);
    if (PyStatus_Exception(status))
        return status;
    /* All places are given, so that none is looked for in the image. */
    wchar_t **places[] = {&config->program_name, &config->executable, &config->base_executable};
    for (size_t one = 0; one < sizeof(places) / sizeof(places[0]); one++) {
        status = PyConfig_SetBytesString(config, places[one], SELF);
        if (PyStatus_Exception(status))
            return status;
    }
    wchar_t **folders[] = {&config->home, &config->prefix, &config->base_prefix, &config->exec_prefix,
                           &config->base_exec_prefix, &config->stdlib_dir};
    for (size_t one = 0; one < sizeof(folders) / sizeof(folders[0]); one++) {
        status = PyConfig_SetBytesString(config, folders[one], "/proc/self");
        if (PyStatus_Exception(status))
            return status;
    }
#ifdef WORKSHOP
    config->parse_argv = 1;
    return PyConfig_SetBytesArgv(config, count, arguments);
#else
    (void)count;
    (void)arguments;
    return PyConfig_SetBytesString(config, &config->run_module, "lambent.agent");
#endif
}

int main(int count, char **arguments)
{
    PyPreConfig before;
    PyConfig config;
    PyStatus status;

#ifndef WORKSHOP
    if (count == 2)
        return install(arguments[1]);
#endif
    /* Before anything else: from here on a process of the same user can neither trace nor read this one. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return fail("prctl");
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1; /* arguments and variables of the function pass as they are, whatever the locale */
    status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    PyConfig_InitIsolatedConfig(&config);
    status = configure(&config, count, arguments);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    return Py_RunMain();
}
