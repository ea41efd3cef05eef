/* A LADSPA plugin that delays mono audio by its one control, in ms: a device delay of which the sound server knows
   nothing. The structure is LADSPA's, version 1.1. */

#include <stdlib.h>
#include <string.h>

enum { INPUT = 1, OUTPUT = 2, CONTROL = 4, AUDIO = 8 };
enum { DELAY, IN, OUT, PORTS };

typedef struct { int hint; float lower, upper; } Hint;

typedef struct Descriptor {
    unsigned long id;
    const char *label;
    int properties;
    const char *name, *maker, *copyright;
    unsigned long port_count;
    const int *ports;
    const char *const *port_names;
    const Hint *hints;
    void *data;
    void *(*instantiate)(const struct Descriptor *, unsigned long);
    void (*connect_port)(void *, unsigned long, float *);
    void (*activate)(void *);
    void (*run)(void *, unsigned long);
    void (*run_adding)(void *, unsigned long);
    void (*set_run_adding_gain)(void *, float);
    void (*deactivate)(void *);
    void (*cleanup)(void *);
} Descriptor;

typedef struct {
    unsigned long rate, frames, position;
    float *line, *ports[PORTS];
} Line;

static void *instantiate(const Descriptor *descriptor, unsigned long rate)
{
    Line *line = calloc(1, sizeof *line);
    (void)descriptor;
    if (line)
        line->rate = rate;
    return line;
}

static void connect_port(void *handle, unsigned long port, float *data)
{
    ((Line *)handle)->ports[port] = data;
}

static void run(void *handle, unsigned long frames)
{
    Line *line = handle;
    if (!line->line) { /* the control is connected only now */
        line->frames = (unsigned long)(*line->ports[DELAY] * (float)line->rate / 1000.0f + 0.5f);
        line->line = calloc(line->frames + 1, sizeof *line->line);
    }
    for (unsigned long i = 0; i < frames; i++) {
        float heard = line->ports[IN][i];
        line->ports[OUT][i] = line->frames ? line->line[line->position] : heard;
        line->line[line->position] = heard;
        line->position = line->frames ? (line->position + 1) % line->frames : 0;
    }
}

static void cleanup(void *handle)
{
    free(((Line *)handle)->line);
    free(handle);
}

static const int ports[PORTS] = {INPUT | CONTROL, INPUT | AUDIO, OUTPUT | AUDIO};
static const char *const names[PORTS] = {"Delay (ms)", "Input", "Output"};
static const Hint hints[PORTS] = {{1 | 2, 0.0f, 5000.0f}, {0, 0, 0}, {0, 0, 0}};
static const Descriptor descriptor = {
    .id = 0x0ca1, .label = "delay", .name = "Delay", .maker = "opusagent-tui", .copyright = "MIT",
    .port_count = PORTS, .ports = ports, .port_names = names, .hints = hints,
    .instantiate = instantiate, .connect_port = connect_port, .run = run, .cleanup = cleanup,
};

const Descriptor *ladspa_descriptor(unsigned long index)
{
    return index == 0 ? &descriptor : NULL;
}
