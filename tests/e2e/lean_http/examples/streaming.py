"""Bodies that are read as they come."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

from locust import FastHttpUser, constant, task


class StreamingUser(FastHttpUser):
    wait_time = constant(0.001)

    @task
    def follow(self) -> None:
        lines = list(self.client.iter_lines("/lines"))
        assert lines == [f"line {number}" for number in range(20)], lines
        response = self.client.get("/lines", stream=True, name="iter_content")
        text = "".join(chunk for chunk in response.iter_content(chunk_size=16))
        assert text.count("\n") == 20
        response = self.client.get("/lines", stream=True, name="first part")
        for chunk in response.iter_content(chunk_size=8, decode_content=False):
            assert chunk
            break
        with self.client.get(
            "/lines", stream=True, catch_response=True, name="judged stream"
        ) as response:
            if "line 7" not in (response.text or ""):
                response.failure("no line 7")
            response.failure("by hand")
