// A whole conversation with a realtime client of the `openai` package.
import { Events, finish, spoken } from './common.mjs';

const RATE = 24000;
const tool = {
  type: 'function',
  name: 'opening_hours',
  description: 'When a customer may come.',
  parameters: { type: 'object', properties: {}, required: [] },
};

export async function converse(realtime, closed) {
  const events = new Events();
  const errors = [];
  const result = { errors };
  realtime.on('event', (event) => events.push(event));
  realtime.on('error', (error) => {
    errors.push(error.message);
    if (!error.error) finish(result); // not an event of the agent: the connection failed
  });
  const until = async (type) => {
    const seen = await events.until((event) => event.type === type);
    return { last: seen.at(-1), seen };
  };
  const transcripts = (seen) => seen
    .filter(({ type }) => /transcription.completed$|audio_transcript.done$/.test(type))
    .map(({ transcript }) => transcript);
  const speak = (name) => {
    for (const piece of spoken(name, RATE)) {
      realtime.send({ type: 'input_audio_buffer.append', audio: piece.toString('base64') });
    }
  };

  await until('session.created');
  realtime.send({
    type: 'session.update',
    session: {
      type: 'realtime',
      model: 'gpt-realtime',
      tools: [tool],
      audio: { input: { transcription: { model: 'gpt-4o-mini-transcribe' } } },
    },
  });
  result.model = (await until('session.updated')).last.session.model;
  realtime.send({ type: 'response.create' });
  result.greeting = transcripts((await until('response.done')).seen);

  speak('number');
  result.turn = transcripts((await until('response.done')).seen);

  speak('hours');
  const call = (await until('response.function_call_arguments.done')).last;
  result.tool = call.name;
  await until('response.done');
  const output = { type: 'function_call_output', call_id: call.call_id, output: 'nine to six' };
  realtime.send({ type: 'conversation.item.create', item: output });
  realtime.send({ type: 'response.create' });
  result.afterTool = transcripts((await until('response.done')).seen);

  speak('services');
  await until('response.output_audio.delta');
  speak('interrupt');
  result.interrupted = (await until('response.done')).last.response.status_details;
  result.afterInterruption = transcripts((await until('response.done')).seen);

  speak('goodbye');
  await until('response.done');
  result.closeCode = await closed;
  finish(result);
}
