// Drives the official TypeScript client against a server and prints what it saw as one JSON object.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.argv[2], apiKey: "any", maxRetries: 0 });
const model = "claude-sonnet-5-5";
const ask = (content, extra = {}) => ({ model, max_tokens: 100, messages: [{ role: "user", content }], ...extra });
const image = {
  type: "image",
  source: {
    type: "base64",
    media_type: "image/png",
    data: "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  },
};
const tool = { name: "get_weather", input_schema: { type: "object", properties: { city: { type: "string" } } } };
const seen = {};

const content = [image, { type: "text", text: "::thinking hm\n::text Hello" }];
seen.sent = ask(content);
seen.message = await client.messages.create(seen.sent);

seen.events = [];
for await (const event of await client.messages.create(ask("::text a b", { stream: true }))) {
  seen.events.push(event.delta?.text ?? event.type);
}

seen.deltas = [];
const stream = client.messages.stream(ask("::text a b c"));
stream.on("text", (delta) => seen.deltas.push(delta));
seen.streamed = await stream.finalMessage();

const question = ask('Weather?\n::tool get_weather {"city":"Oslo"}\n::tool get_weather {"city":"Rome"}\n::turn\n::text Cold.', {
  tools: [tool],
});
const calls = await client.messages.create(question);
const results = calls.content.map((block) => ({ type: "tool_result", tool_use_id: block.id, content: "-5" }));
seen.calls = calls;
seen.answer = await client.messages.create({
  ...question,
  messages: [...question.messages, { role: "assistant", content: calls.content }, { role: "user", content: results }],
});

seen.errors = [];
const naming = "::error 400 invalid_request_error tools.0.name: too long";
for (const script of ["::header retry-after 7\n::error 429", "::error 529", naming]) {
  try {
    await client.messages.create(ask(script));
  } catch (error) {
    const retryAfter = error.headers?.get("retry-after") ?? null;
    seen.errors.push({ name: error.constructor.name, status: error.status, retryAfter, said: error.error.error.message });
  }
}
seen.refusals = [];
for (const wrong of [{ max_tokens: -1 }, { tools: [{ name: "" }] }]) {
  try {
    await client.messages.create(ask("::text never", wrong));
  } catch (error) {
    seen.refusals.push({ name: error.constructor.name, said: error.error.error.message, requestID: error.requestID });
  }
}
seen.tokens = (await client.messages.countTokens({ model, messages: question.messages })).input_tokens;
seen.models = [];
for await (const each of client.models.list({ limit: 1 })) seen.models.push(each.id);
console.log(JSON.stringify(seen));
