// ElevenLabs' JavaScript SDK: a conversation by voice, with a microphone and a speaker of our own.
import { WebSocket } from 'ws';
import { Events, finish, spoken, url } from './common.mjs';

// As in a browser, each message is an event of its own: the SDK looks away after the first one.
globalThis.WebSocket = class extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { allowSynchronousEvents: false });
  }
};
const { Conversation } = await import('@elevenlabs/client');
const { createConnection, setSetupStrategy } = await import('@elevenlabs/client/internal');

const events = new Events();
const result = { errors: [], tools: [] };
let flushes = 0;
let connection;
setSetupStrategy(async (options) => {
  connection = await createConnection(options);
  const nothing = async () => {};
  const device = {
    close: nothing, setDevice: nothing, setMuted: nothing, isMuted: () => false, setVolume() {},
    interrupt: () => (flushes += 1), getVolume: () => 0, getByteFrequencyData() {},
  };
  return { connection, input: device, output: device, playbackEventTarget: null, detach: nothing };
});
const speak = (name) => {
  for (const piece of spoken(name, 16000)) connection.sendMessage({ user_audio_chunk: piece.toString('base64') });
};
const common = {
  agentId: 'any',
  connectionType: 'websocket',
  origin: url,
  onError: (message) => result.errors.push(message),
  onMessage: ({ role, message }) => events.push({ type: role, text: message }),
  onAudio: (base64) => events.push({ type: 'audio', base64 }),
  onDisconnect: (details) => events.push({ type: 'disconnected', reason: details.reason }),
  clientTools: {
    opening_hours: async () => {
      result.tools.push('opening_hours');
      return 'nine to six';
    },
  },
};
const until = async (type) => (await events.until((event) => event.type === type)).at(-1);
const turn = async (name) => {
  speak(name);
  return [(await until('user')).text, (await until('agent')).text];
};

const conversation = await Conversation.startSession({
  ...common,
  overrides: { agent: { prompt: { tool_ids: ['opening_hours'] } } },
});
result.greeting = (await until('agent')).text;
await until('audio');
result.turn = await turn('number');
result.turnWithTool = await turn('hours');
result.interruptedTurn = await turn('services');
await until('audio');
const flushed = flushes;
result.interruption = await turn('interrupt');
result.flushed = flushes > flushed;
result.goodbye = await turn('goodbye');
result.ended = (await until('disconnected')).reason;

const written = await Conversation.startSession({ ...common, textOnly: true });
const before = (await until('agent')).text;
written.sendUserMessage('Yes.');
result.text = [before, (await until('agent')).text];
await written.endSession();
result.endedText = (await until('disconnected')).reason;
finish(result);
