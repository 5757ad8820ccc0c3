// Runs Apache Kafka's command-line tools one after another in one JVM, which starts once in place of once a tool.
//
// A line of input is {"main": class, "args": [...], "input": text}; the answer is {"code": exit code, "text": output}.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.common.utils.Exit;

public final class ToolServer {
    private static final int TOOL_MS = 60_000;
    private static volatile CompletableFuture<Integer> current = new CompletableFuture<>();

    public static void main(String[] args) throws Exception {
        ObjectMapper json = new ObjectMapper();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = System.out;
        Exit.setExitProcedure((code, message) -> ended(code));
        Exit.setHaltProcedure((code, message) -> ended(code));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode request = json.readTree(line);
            ByteArrayOutputStream text = new ByteArrayOutputStream();
            PrintStream both = new PrintStream(text, true, StandardCharsets.UTF_8);
            System.setOut(both);
            System.setErr(both);
            System.setIn(new ByteArrayInputStream(request.path("input").asText("").getBytes(StandardCharsets.UTF_8)));
            List<String> words = new ArrayList<>();
            request.get("args").forEach(word -> words.add(word.asText()));
            int code = run(request.get("main").asText(), words.toArray(new String[0]), both);
            answers.println(json.writeValueAsString(Map.of("code", code, "text", text.toString(StandardCharsets.UTF_8))));
            answers.flush();
        }
        System.exit(0);
    }

    /** A tool that ends: its code is told, its thread goes no further. */
    private static void ended(int code) {
        current.complete(code);
        while (true) LockSupport.parkNanos(Long.MAX_VALUE);
    }

    private static int run(String main, String[] args, PrintStream out) throws Exception {
        CompletableFuture<Integer> result = new CompletableFuture<>();
        current = result;
        Thread thread = new Thread(() -> {
            try {
                Class.forName(main).getMethod("main", String[].class).invoke(null, (Object) args);
                result.complete(0);
            } catch (ReflectiveOperationException error) {
                Throwable cause = error instanceof InvocationTargetException ? error.getCause() : error;
                cause.printStackTrace(out);
                result.complete(1);
            }
        });
        thread.setDaemon(true);
        thread.start();
        try {
            return result.get(TOOL_MS, TimeUnit.MILLISECONDS);
        } catch (TimeoutException late) {
            out.println("not done within " + TOOL_MS + " ms");
            return 124;
        }
    }
}
