// OpenAI's Agents SDK for JavaScript, with its own websocket transport; its schemas judge every event.
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents/realtime';
import { z } from 'zod';
import { Events, finish, spoken, url } from './common.mjs';

const RATE = 24000;
const result = { errors: [], tools: [] };
const hours = tool({
  name: 'opening_hours',
  description: 'When a customer may come.',
  parameters: z.object({}),
  execute: async () => {
    result.tools.push('opening_hours');
    return 'nine to six';
  },
});
const agent = new RealtimeAgent({ name: 'workshop', instructions: 'Be brief.', tools: [hours] });
const session = new RealtimeSession(agent, {
  transport: 'websocket',
  model: 'gpt-realtime',
  config: { audio: { input: { transcription: { model: 'gpt-4o-mini-transcribe' } } } },
});
const events = new Events();
session.transport.on('*', (event) => events.push(event));
session.on('error', (error) => result.errors.push(JSON.stringify(error)));
session.on('audio_interrupted', () => events.push({ type: 'audio_interrupted' }));
const until = async (type) => (await events.until((event) => event.type === type)).at(-1);
const speak = (name) => {
  for (const piece of spoken(name, RATE)) {
    session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
  }
};

await session.connect({ apiKey: 'secret', url: `${url}/v1/realtime?model=gpt-realtime` });
result.model = (await until('session.updated')).session.model;
session.transport.sendEvent({ type: 'response.create' });
await until('response.done');

speak('number');
await until('response.done');
speak('hours');
await until('response.function_call_arguments.done');
await until('response.done');
await until('response.done'); // the answer after the tool
speak('services');
await until('response.output_audio.delta');
speak('interrupt');
await until('audio_interrupted');
await until('response.done');
await until('response.done');
result.history = session.history
  .filter(({ type }) => type === 'message')
  .map(({ role, content }) => [role, content.map(({ transcript }) => transcript).join('')]);
session.close();
finish(result);
