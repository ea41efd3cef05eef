// The Node form of OpenAI's realtime client: `ws`, with the key in a header. It connects by TLS alone.
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { url } from './common.mjs';
import { converse } from './openai_conversation.mjs';

const client = new OpenAI({ apiKey: 'secret', baseURL: `${url.replace('wss:', 'https:')}/v1` });
const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime' }, client);
await converse(realtime, new Promise((resolve) => realtime.socket.on('close', resolve)));
