// Drives the Vercel AI SDK against a server and prints what it saw as one JSON object.
import { createAnthropic } from "@ai-sdk/anthropic";
import { APICallError, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const model = createAnthropic({ baseURL: process.argv[2], apiKey: "any" })("claude-sonnet-5-5");
const options = { model, maxRetries: 0, maxOutputTokens: 100 };
const question = 'Weather?\n::tool get_weather {"city":"Oslo"}\n::tool get_weather {"city":"Rome"}\n::turn\n::text It is cold.';
const seen = { asked: [] };
const tools = {
  get_weather: tool({
    description: "The weather of a city",
    inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] }),
    execute: async ({ city }) => {
      seen.asked.push(city);
      return `-5 in ${city}`;
    },
  }),
};
const shortened = (step) => ({
  finishReason: step.finishReason,
  text: step.text,
  calls: step.toolCalls.map((call) => call.input),
  results: step.toolResults.map((result) => result.output),
});

const whole = await generateText({ ...options, prompt: question, tools, stopWhen: stepCountIs(3) });
seen.whole = { text: whole.text, steps: whole.steps.map(shortened), usage: whole.totalUsage };

const streamed = streamText({ ...options, prompt: question, tools, stopWhen: stepCountIs(3) });
seen.parts = [];
for await (const part of streamed.fullStream) {
  seen.parts.push(part.type);
  if (part.type === "error") throw part.error;
}
seen.streamed = { text: await streamed.text, steps: (await streamed.steps).map(shortened) };

seen.deltas = [];
for await (const delta of streamText({ ...options, prompt: "::text a b c" }).textStream) seen.deltas.push(delta);

try {
  await generateText({ ...options, prompt: "::header retry-after 7\n::error 429" });
} catch (error) {
  seen.failure = {
    known: APICallError.isInstance(error),
    status: error.statusCode,
    retryable: error.isRetryable,
    retryAfter: error.responseHeaders?.["retry-after"] ?? null,
    message: error.message,
  };
}
console.log(JSON.stringify(seen));
