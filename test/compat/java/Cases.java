// Cases of a Java client: each runs alone under a time limit and prints one JSON line with what it got.
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.CommonClientConfigs;

final class Cases {
    static final String WORDS = "of the same words ".repeat(20);
    private static final int CASE_SECONDS = 60;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final BufferedReader ANSWERS = new BufferedReader(new InputStreamReader(System.in));
    private static final PrintStream OUT = System.out;

    private final Map<String, Callable<Object>> all = new LinkedHashMap<>();

    void add(String name, Callable<Object> body) {
        all.put(name, body);
    }

    private static void say(Map<String, Object> line) throws Exception {
        OUT.println(JSON.writeValueAsString(line));
        OUT.flush();
    }

    /** Has the hub killed and started again on the same port and folder. */
    static void restart() throws Exception {
        say(Map.of("ask", "restart"));
        ANSWERS.readLine();
    }

    /** Fields in order: name, value, name, value. */
    static Map<String, Object> fields(Object... pairs) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) map.put((String) pairs[i], pairs[i + 1]);
        return map;
    }

    static Map<String, Object> settings(String server, Object... pairs) {
        Map<String, Object> map = fields(pairs);
        map.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, server);
        return map;
    }

    static List<String> numbers(int from, int to) {
        return IntStream.range(from, to).mapToObj(Integer::toString).collect(Collectors.toList());
    }

    static void until(BooleanSupplier holds) throws InterruptedException {
        while (!holds.getAsBoolean()) Thread.sleep(20);
    }

    /** The cause of a failed future, or null when it did not fail. */
    static Throwable failure(Callable<?> call) {
        try {
            call.call();
            return null;
        } catch (ExecutionException error) {
            return error.getCause();
        } catch (Exception error) {
            return error;
        }
    }

    private static boolean wanted(String name, String[] args) {
        return args.length == 1 || Arrays.stream(args).skip(1).anyMatch(name::contains);
    }

    private static String words(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable one = error; one != null; one = one.getCause()) {
            text.append(one).append('\n');
            Arrays.stream(one.getStackTrace()).limit(8).forEach(place -> text.append("  ").append(place).append('\n'));
        }
        return text.toString();
    }

    /** Runs every case, or those that have one of the words behind the server in their name; ends the process. */
    void run(String[] args) throws Exception {
        ExecutorService thread = Executors.newCachedThreadPool(task -> {
            Thread made = new Thread(task);
            made.setDaemon(true);
            return made;
        });
        for (Map.Entry<String, Callable<Object>> one : all.entrySet()) {
            if (!wanted(one.getKey(), args)) continue;
            try {
                say(fields("case", one.getKey(), "got", thread.submit(one.getValue()).get(CASE_SECONDS, TimeUnit.SECONDS)));
            } catch (Throwable error) {
                say(fields("case", one.getKey(), "error", words(error)));
            }
        }
        System.exit(0);
    }
}
